#include "bf16.h"
#include "kernels.h"

// Forward: each output position along an axis reads two source positions with two
// weights. n: N, H, W, C, OH, OW, nearest.
typedef struct {
	int64_t h, w, c, oh, ow, nearest;
	const int32_t *yi, *xi;
	const float *yw, *xw;
} taps;

// Backward: each source position gathers from the outputs that read it; those of
// position i along an axis are entries start[i] to start[i+1] of a list.
typedef struct {
	int64_t h, w, c, oh, ow;
	const int32_t *ys, *yi, *xs, *xi;
	const float *yw, *xw;
} readers;

// Channels summed at a time.
enum { STRIP = 256 };

#define NUMBER float
#define NAME(x) x
#define WIDE(x) (x)
#define NARROW(x) (x)
#include "resize_loops.h"

#define NUMBER bf16
#define NAME(x) x##_bf16
#define WIDE(x) mv_wide(x)
#define NARROW(x) mv_narrow(x)
#include "resize_loops.h"
