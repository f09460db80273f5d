// Package page writes what training runs left in their output folders as one HTML page
// that needs nothing else: no network, no other file. Charts are SVG drawn here; a
// short script adds a cursor and switches for the curves, and without it everything is
// still there to read. The same runs give the same bytes.
package page
