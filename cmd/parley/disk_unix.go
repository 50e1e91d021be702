//go:build linux || darwin

package main

import (
	"math"
	"syscall"
)

// freeBytes is the space that is free where a folder is; NaN when that is not known.
func freeBytes(path string) float64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return math.NaN()
	}
	return float64(s.Bavail) * float64(s.Bsize)
}
