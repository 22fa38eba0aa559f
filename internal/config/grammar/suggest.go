package grammar

import "strings"

// Nearest is the candidate that a typing mistake in word most likely meant; empty if none is near. Near is a third of
// the longer one's letters, at least one and at most three; exchanged neighbours count as one mistake.
func Nearest(word string, candidates []string) string {
	best, found := 4, ""
	for _, c := range candidates {
		limit := min(3, max(1, max(len(word), len(c))/3))
		d := distance(strings.ToLower(word), strings.ToLower(c))
		if d <= limit && d < best && d < len(c) {
			best, found = d, c
		}
	}
	return found
}

// Suggest is Nearest among the keywords that were expected.
func (e *Error) Suggest() string {
	var words []string
	for _, c := range e.Expected {
		if c.Kind == Keyword && c.Text != End {
			words = append(words, c.Text)
		}
	}
	return Nearest(e.Token, words)
}

// maxDistance bounds the words that are compared: longer ones are no typing mistakes.
const maxDistance = 64

// distance counts insertions, deletions, replacements and exchanges of neighbours between a and b.
func distance(a, b string) int {
	if len(a) > maxDistance || len(b) > maxDistance {
		return maxDistance
	}
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
