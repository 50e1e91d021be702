// Package endtoend holds tests and benchmarks of several rooms together: real
// engine, store, read models and bus, wired as a server wires them. It is tests
// only.
package endtoend
