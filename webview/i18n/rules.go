package i18n

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// rules are what a language needs besides words.
type rules struct {
	plural  func(n int64) int // index of the plural form (Unicode CLDR, integers)
	forms   int
	months  [12]string
	date    func(t time.Time, month string) string
	units   [5]string
	decimal string
}

const space = "\u00a0" // no break within a number or a date

func russian() rules {
	return rules{
		forms: 3,
		plural: func(n int64) int {
			switch {
			case n%10 == 1 && n%100 != 11:
				return 0
			case n%10 >= 2 && n%10 <= 4 && (n%100 < 12 || n%100 > 14):
				return 1
			}
			return 2
		},
		months: [12]string{"января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября", "ноября", "декабря"},
		date: func(t time.Time, month string) string {
			return fmt.Sprintf("%d"+space+"%s"+space+"%d"+space+"г.", t.Day(), month, t.Year())
		},
		units:   [5]string{"байт", "КБ", "МБ", "ГБ", "ТБ"},
		decimal: ",",
	}
}

func english() rules {
	return rules{
		forms: 2,
		plural: func(n int64) int {
			if n == 1 {
				return 0
			}
			return 1
		},
		months: [12]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
		date: func(t time.Time, month string) string {
			return fmt.Sprintf("%d"+space+"%s"+space+"%d", t.Day(), month, t.Year())
		},
		units:   [5]string{"bytes", "KB", "MB", "GB", "TB"},
		decimal: ".",
	}
}

// Day is a date as people write it.
func (c *Catalogue) Day(t time.Time) string {
	t = t.UTC()
	return c.rules.date(t, c.rules.months[t.Month()-1])
}

// Time is a date and time of day, UTC, to the second.
func (c *Catalogue) Time(t time.Time) string {
	return c.Day(t) + ", " + t.UTC().Format("15:04:05")
}

// Size is a number of octets in a unit that reads well, in steps of 1000.
// Below a kilobyte it is exact.
func (c *Catalogue) Size(n int64) string {
	if n < 1000 {
		forms := strings.Split(c.T("bytes"), " | ")
		return strings.Replace(forms[c.rules.plural(n)], "%s", strconv.FormatInt(n, 10), 1)
	}
	v, unit := float64(n), 0
	for v >= 999.95 && unit < len(c.rules.units)-1 {
		v /= 1000
		unit++
	}
	return strings.Replace(strconv.FormatFloat(v, 'f', 1, 64), ".", c.rules.decimal, 1) + space + c.rules.units[unit]
}
