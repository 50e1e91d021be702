//go:build !linux && !darwin

package main

import "math"

// freeBytes is not known here.
func freeBytes(string) float64 { return math.NaN() }
