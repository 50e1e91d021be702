package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The questions that docs/analytics.md has are answered.
func TestQuestionsOfTheDocsAreAnswered(t *testing.T) {
	text, err := os.ReadFile("../../docs/analytics.md")
	require.NoError(t, err)
	_, block, found := strings.Cut(string(text), "```sql\n")
	require.True(t, found)
	block, _, _ = strings.Cut(block, "```")
	questions := strings.Split(strings.TrimSpace(block), "\n\n")
	require.GreaterOrEqual(t, len(questions), 5)

	dir := t.TempDir()
	p := serving(t, dir)
	p.stop(t)
	for _, question := range questions {
		out, errOut, code := parley(t, "sql", "--data", dir, "-o", "csv", "--", question)
		require.Equal(t, exitOK, code, "%s\n%s", question, errOut)
		require.NotEmpty(t, out, "there are the columns")
	}
}
