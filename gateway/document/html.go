package document

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
)

//go:embed sheet.css
var style string

//go:embed sheet.html
var page string

var sheetTemplate = template.Must(template.New("sheet").Funcs(template.FuncMap{"show": display}).Parse(page))

// StyleSource is the CSP source expression of the pages' only style sheet, for
// a server that shows them under its own policy: style-src {StyleSource}.
func StyleSource() string {
	sum := sha256.Sum256([]byte(style))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (s *sheet) html() ([]byte, error) {
	var b bytes.Buffer
	err := sheetTemplate.Execute(&b, struct {
		*sheet
		CSP   string
		Style template.CSS
	}{s, "default-src 'none'; style-src " + StyleSource(), template.CSS(style)})
	if err != nil {
		return nil, fmt.Errorf("write page %q: %w", s.Title, err)
	}
	return b.Bytes(), nil
}
