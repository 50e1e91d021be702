package duration_test

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rickb777/period"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain/duration"
)

func TestParse(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"PT0S":          0,
		"P0D":           0,
		"P0DT0H0M0S":    0,
		"PT1S":          time.Second,
		"PT59S":         59 * time.Second,
		"PT1M":          time.Minute,
		"PT90M":         90 * time.Minute,
		"PT1H1S":        time.Hour + time.Second,
		"P1D":           day,
		"P30D":          30 * day,
		"P365D":         365 * day,
		"P1DT12H":       36 * time.Hour,
		"P2DT3H4M5S":    2*day + 3*time.Hour + 4*time.Minute + 5*time.Second,
		"PT007M":        7 * time.Minute,
		"P106751D":      106751 * day,
		"PT9223372036S": 9223372036 * time.Second,
	} {
		t.Run(text, func(t *testing.T) {
			d, err := duration.Parse(text)
			require.NoError(t, err)
			require.Equal(t, want, d.Length())
			require.Equal(t, text, d.String(), "the text is kept")
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]error{
		"":                         duration.ErrSyntax,
		"P":                        duration.ErrSyntax,
		"PT":                       duration.ErrSyntax,
		"P1DT":                     duration.ErrSyntax,
		"1D":                       duration.ErrSyntax,
		"PD":                       duration.ErrSyntax,
		"P1":                       duration.ErrSyntax,
		"PT5":                      duration.ErrSyntax,
		"P1H":                      duration.ErrSyntax,
		"P1S":                      duration.ErrSyntax,
		"PT1D":                     duration.ErrSyntax,
		"PT1Y":                     duration.ErrSyntax,
		"PT1M1H":                   duration.ErrSyntax,
		"PT1M1M":                   duration.ErrSyntax,
		"P1D1D":                    duration.ErrSyntax,
		"PT1HT1M":                  duration.ErrSyntax,
		"PT1.5H":                   duration.ErrSyntax,
		"PT1,5S":                   duration.ErrSyntax,
		"-PT1M":                    duration.ErrSyntax,
		"PT-1M":                    duration.ErrSyntax,
		"+PT1M":                    duration.ErrSyntax,
		"pt1m":                     duration.ErrSyntax,
		"Pt1M":                     duration.ErrSyntax,
		" PT1M":                    duration.ErrSyntax,
		"PT1M ":                    duration.ErrSyntax,
		"PT1M\n":                   duration.ErrSyntax,
		"PT١M":                     duration.ErrSyntax,
		"P0001-00-00T00:00:00":     duration.ErrSyntax,
		"P1W":                      duration.ErrUnit,
		"P1M":                      duration.ErrUnit,
		"P6M":                      duration.ErrUnit,
		"P1Y":                      duration.ErrUnit,
		"P1Y2M3D":                  duration.ErrUnit,
		"P1W2D":                    duration.ErrUnit,
		"P106752D":                 duration.ErrRange,
		"PT9223372037S":            duration.ErrRange,
		"P106751DT23H48M":          duration.ErrRange,
		"PT9223372036854775808S":   duration.ErrRange,
		"P99999999999999999999D":   duration.ErrRange,
		"PT2562047H47M16S1S":       duration.ErrSyntax,
		"PT2562047H48M":            duration.ErrRange,
		strings.Repeat("9", 1<<10): duration.ErrSyntax,
	} {
		t.Run(text[:min(len(text), 30)], func(t *testing.T) {
			_, err := duration.Parse(text)
			require.ErrorIs(t, err, want)
			require.Less(t, len(err.Error()), 120, "a long text is not repeated in full")
		})
	}
}

func TestTextFormsComeBackUnchanged(t *testing.T) {
	var d duration.Duration
	require.NoError(t, d.UnmarshalText([]byte("P0DT005M")))
	text, err := d.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "P0DT005M", string(text))

	require.NoError(t, d.UnmarshalText(nil))
	require.Equal(t, duration.Duration{}, d)
	require.ErrorIs(t, d.UnmarshalText([]byte("P1Y")), duration.ErrUnit)
}

// FuzzParse compares with an independent parser on what both understand: ours
// accepts a part of what ISO 8601 allows, and means the same by it.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"PT1M", "P1DT12H", "P30D", "PT0S", "P1Y", "P1W", "PT1.5H", "-P1D", "P106752D", "PT", "P1D1D"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := duration.Parse(text)
		if err != nil {
			require.Zero(t, d)
			return
		}
		require.Equal(t, text, d.String())
		require.GreaterOrEqual(t, d.Length(), time.Duration(0))
		if tooFine(text) {
			return
		}
		other, err := period.Parse(text)
		require.NoError(t, err, "whatever we accept is ISO 8601")
		whole := time.Duration(other.Days())*24*time.Hour + time.Duration(other.Hours())*time.Hour +
			time.Duration(other.Minutes())*time.Minute + time.Duration(other.Seconds())*time.Second
		require.Equal(t, whole, d.Length())
	})
}

// tooFine reports numbers beyond what the other parser keeps exactly.
func tooFine(text string) bool {
	for _, number := range strings.FieldsFunc(text, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.ParseInt(number, 10, 64); err != nil || n > math.MaxInt32 || len(number) > 15 {
			return true
		}
	}
	return false
}
