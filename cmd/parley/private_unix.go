//go:build unix

package main

import "syscall"

// keepPrivate has everything that this process makes from now on be for its owner only,
// whatever the shell says: also what SQLite and the broker make.
func keepPrivate() { syscall.Umask(0o077) }
