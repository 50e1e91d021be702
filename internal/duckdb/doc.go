// Package duckdb runs the questions of docs/analytics.md in DuckDB, over files that an
// export wrote. It is a module of its own, as DuckDB needs a C compiler and is large:
// nothing else depends on it. make duckdb runs it.
package duckdb
