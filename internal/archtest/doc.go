// Package archtest proves the shape of the house: which room may import which,
// that domain and events are silent, and how large things may grow.
//
// It is tests only. They parse every Go file themselves, through the ordinary
// file functions, so that the test cache knows what they have read and a broken
// arrow is seen by the next go test without -count=1.
package archtest
