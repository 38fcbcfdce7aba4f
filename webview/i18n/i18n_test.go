package i18n

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func load(t *testing.T) Catalogues {
	t.Helper()
	all, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLanguagesHaveTheSameKeysAndPlaceholders(t *testing.T) {
	all := load(t)
	ru, en := all["ru"], all["en"]
	if len(en.texts) < 100 {
		t.Fatalf("only %d texts", len(en.texts))
	}
	verbs := regexp.MustCompile(`%.`)
	for key, text := range en.texts {
		other, ok := ru.texts[key]
		if !ok {
			t.Errorf("%s is missing in ru", key)
			continue
		}
		if strings.Contains(text, " | ") != strings.Contains(other, " | ") {
			t.Errorf("%s is plural in one language only", key)
		}
		for _, c := range []*Catalogue{ru, en} {
			forms := strings.Split(c.texts[key], " | ")
			if len(forms) > 1 && len(forms) != c.rules.forms {
				t.Errorf("%s: %s has %d plural forms, want %d", c.Lang, key, len(forms), c.rules.forms)
			}
			for _, f := range forms {
				want := verbs.FindAllString(strings.Split(text, " | ")[0], -1)
				if got := verbs.FindAllString(f, -1); !slices.Equal(got, want) {
					t.Errorf("%s: %s has placeholders %v, want %v", c.Lang, key, got, want)
				}
			}
			if strings.ContainsAny(c.texts[key], "<>") {
				t.Errorf("%s: %s holds markup", c.Lang, key)
			}
		}
	}
	for key := range ru.texts {
		if !en.Has(key) {
			t.Errorf("%s is missing in en", key)
		}
	}
}

func TestRussianTextIsRussian(t *testing.T) {
	letters := regexp.MustCompile(`[а-яё]`)
	for key, text := range load(t)["ru"].texts {
		if !letters.MatchString(text) && !strings.HasPrefix(key, "lang.") && !slices.Contains([]string{"cert.sha256", "view.messageid"}, key) {
			t.Errorf("%s = %q is not translated", key, text)
		}
	}
}

func TestPlural(t *testing.T) {
	all := load(t)
	for _, c := range []struct {
		lang string
		n    int
		want string
	}{
		{"ru", 0, "0 файлов"}, {"ru", 1, "1 файл"}, {"ru", 2, "2 файла"}, {"ru", 5, "5 файлов"},
		{"ru", 11, "11 файлов"}, {"ru", 12, "12 файлов"}, {"ru", 21, "21 файл"}, {"ru", 24, "24 файла"}, {"ru", 111, "111 файлов"},
		{"en", 0, "0 files"}, {"en", 1, "1 file"}, {"en", 2, "2 files"},
	} {
		if got := all[c.lang].N("files", c.n); got != c.want {
			t.Errorf("%s %d: %q, want %q", c.lang, c.n, got, c.want)
		}
	}
}

func TestSizeAndTime(t *testing.T) {
	all := load(t)
	for _, c := range []struct {
		n      int64
		ru, en string
	}{
		{0, "0 байт", "0 bytes"}, {1, "1 байт", "1 byte"}, {3, "3 байта", "3 bytes"}, {999, "999 байт", "999 bytes"},
		{1000, "1,0\u00a0КБ", "1.0\u00a0KB"}, {12345, "12,3\u00a0КБ", "12.3\u00a0KB"}, {999_960, "1,0\u00a0МБ", "1.0\u00a0MB"},
		{5_400_000_000_000_000, "5400,0\u00a0ТБ", "5400.0\u00a0TB"},
	} {
		if got := all["ru"].Size(c.n); got != c.ru {
			t.Errorf("%d: %q, want %q", c.n, got, c.ru)
		}
		if got := all["en"].Size(c.n); got != c.en {
			t.Errorf("%d: %q, want %q", c.n, got, c.en)
		}
	}
	at := time.Date(2026, 3, 1, 2, 3, 4, 0, time.FixedZone("", 3*3600))
	if got, want := all["ru"].Time(at), "28\u00a0февраля\u00a02026\u00a0г., 23:03:04"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := all["en"].Time(at), "28\u00a0February\u00a02026, 23:03:04"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMatch(t *testing.T) {
	all := load(t)
	for accept, want := range map[string]string{
		"": "en", "ru": "ru", "ru-RU,ru;q=0.9,en;q=0.8": "ru", "de-DE, ru;q=0.5, en;q=0.4": "ru", "en-GB,ru": "en",
		"RU": "ru", "*": "en", "rubbish": "en", ";;,,--": "en", strings.Repeat("x,", 5000) + "ru": "en",
	} {
		if got := all.Match(accept).Lang; got != want {
			t.Errorf("%.40q: %s, want %s", accept, got, want)
		}
	}
}

func TestParseRefusesWhatIsNotATable(t *testing.T) {
	for _, s := range []string{"key", "= text", "a = 1\na = 2", "key = "} {
		if _, err := parse(s); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}

func TestUnknownWordsShowAsThemselves(t *testing.T) {
	c := load(t)["en"]
	if got := c.T("no.such"); got != "no.such" {
		t.Error(got)
	}
	if got := c.Or("status.", "passed"); got != "passed" {
		t.Error(got)
	}
	if got := c.Or("check.name.", "odd-check"); got != "odd-check" {
		t.Error(got)
	}
}
