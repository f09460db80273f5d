// Products of activations and a filter in panels of 32 output channels, for CPUs with
// AVX-512: sums of 14 pixels by 32 channels stay in registers while a filter's panel is
// read once from front to back, the part that comes next being fetched meanwhile.
#ifndef MV_PANELS_H
#define MV_PANELS_H

#include "kernels.h"

enum { MV_PANEL = 32, MV_PIXELS = 14 };

// mv_panels_fast tells whether this CPU has what the products need.
int mv_panels_fast(void);

// mv_panels are products of lines of pixels, without a border, and a filter. A pixel's
// inputs lie in strips: rows of the filter's window.
typedef struct {
	const float *x;
	int64_t lines, high;         // lines of outputs in all and in an image
	int64_t wide;                // outputs of a line
	int64_t image, line, pixel;  // floats from the first input of an output to that of the next image's, line's, pixel's
	int64_t strips, strip, k;    // strips of a window, floats from one to the next, inputs of a strip
	const float *w;              // [panels, strips, k, 32]
	int64_t panels;
	float *y;                    // [outputs, 32 panels]
	const float *bias, *add;     // as many as panels have channels; as y. Or nil
	int relu;
} mv_panels;

// mv_panels_blocks is the number of blocks that the outputs are cut into.
int64_t mv_panels_blocks(const mv_panels *g);

// mv_panels_part computes blocks lo to hi of a panel.
void mv_panels_part(const mv_panels *g, int64_t panel, int64_t lo, int64_t hi);

// mv_panels_span computes what lies from lo to hi where all panels of a group of blocks
// come one after the other, then those of the next group.
void mv_panels_span(const mv_panels *g, int64_t group, int64_t lo, int64_t hi);

MV_LOOP(mv_border);
MV_LOOP(mv_conv_panels);

#endif
