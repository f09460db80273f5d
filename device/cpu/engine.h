// The C side of package cpu: kernels as short lists of oneDNN primitives and
// loops, run by one call.
#ifndef MV_ENGINE_H
#define MV_ENGINE_H

#include <oneapi/dnnl/dnnl.h>
#include <stdint.h>

// A loop reads and writes the tensors p, its sizes are n and its constants f.
typedef void (*mv_loop)(void **p, const int64_t *n, const double *f);

enum { MV_ARG_SCRATCH = -1, MV_ARG_CONST = -2 };
enum { MV_WRONG_THREAD = -100 };

// Where an address comes from: argument arg of Bind plus off bytes, the scratch
// plus off bytes, or a constant.
typedef struct {
	int arg;
	int64_t off;
	void *constant;
} mv_place;

typedef struct {
	dnnl_primitive_t prim; // null for a loop
	int nargs;
	dnnl_exec_arg_t *args;
	mv_loop loop;
	void **p;
	mv_place *places;
	int np;
	int64_t *n;
	double *f;
} mv_step;

typedef struct {
	int device;
	dnnl_stream_t stream;
	dnnl_engine_t engine;
	int nsteps, nmems, failed;
	int spread; // this many steps at the beginning run at once
	mv_step *steps;
	dnnl_memory_t *mems;
	mv_place *places;
} mv_kernel;

// Calls below that return int return a oneDNN status, 0 being success.
int mv_open(dnnl_engine_t *engine, dnnl_stream_t *stream);
// mv_calm makes idle threads of all teams sleep instead of spin, for good.
int mv_calm(void);
// mv_adopt makes the calling thread one of the device's.
void mv_adopt(int threads, int device);
// mv_rest ends the other threads of the calling thread's team; the next parallel region
// starts new ones.
void mv_rest(void);
void mv_close(dnnl_engine_t engine, dnnl_stream_t stream);
int mv_is_runner(int device);

mv_kernel *mv_kernel_new(int device, dnnl_engine_t engine, dnnl_stream_t stream);
void mv_kernel_free(mv_kernel *k);
// mv_kernel_memory adds a memory object and stores its index.
int mv_kernel_memory(mv_kernel *k, const dnnl_memory_desc_t *md, mv_place place, int *index);
// mv_kernel_primitive adds a step; ids and mems are pairs of DNNL_ARG_* and memory.
int mv_kernel_primitive(mv_kernel *k, dnnl_primitive_desc_t pd, int nargs, const int *ids, const int *mems);
int mv_kernel_loop(mv_kernel *k, mv_loop loop, int np, const mv_place *places, int nn, const int64_t *n, int nf, const double *f);
// mv_kernel_spread has the threads share out the steps added so far, all of them loops
// that do not depend on each other.
void mv_kernel_spread(mv_kernel *k);
int mv_kernel_bind(mv_kernel *k, void **args, char *scratch);
int mv_kernel_run(mv_kernel *k);

// Allocation outside the Go heap: zeroed, 64-byte aligned, big ones on huge pages.
void *mv_alloc(int64_t bytes);
void mv_free(void *p, int64_t bytes);

// A convolution as oneDNN sees it.
typedef struct {
	int64_t n, ic, oc, h, w, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw, g;
	int bias, relu, sum;
	int bf16, wide; // bf16 activations; the output of a forward convolution all the same float
} mv_conv;

enum { MV_FORWARD, MV_BACKWARD_DATA, MV_BACKWARD_WEIGHTS };
enum { MV_NHWC, MV_BLOCKED, MV_ANY }; // activations' layout
// MV_DIRECT takes what oneDNN prefers, MV_JIT no implementation of the brgemm
// family.
enum { MV_DIRECT, MV_JIT };

// mv_conv_pd finds the first implementation that is not a reference one. Its
// name is copied to impl (64 bytes). weights null means the primitive's choice.
int mv_conv_pd(dnnl_engine_t e, const mv_conv *c, int dir, int alg, int layout, const dnnl_memory_desc_t *weights,
	dnnl_primitive_desc_t *pd, char *impl);
int mv_reorder_pd(dnnl_engine_t e, const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to, dnnl_primitive_desc_t *pd);
// mv_matmul_pd: y[M,N] = a[M,K]·b[K,N] (+ bias [1,N]) with the given strides.
int mv_matmul_pd(dnnl_engine_t e, int64_t m, int64_t k, int64_t n, int ta, int tb, int bias, dnnl_primitive_desc_t *pd);
void mv_query_md(dnnl_primitive_desc_t pd, int what, int index, dnnl_memory_desc_t *md);
void mv_dense_md(dnnl_memory_desc_t *md, int nd, const int64_t *dims);
// mv_filter_md describes plain [O,I/g,H,W] ([g,O/g,I/g,H,W] with groups).
void mv_filter_md(dnnl_memory_desc_t *md, int64_t o, int64_t i, int64_t h, int64_t w, int64_t g);
int mv_reorder_now(dnnl_engine_t e, dnnl_stream_t s, const dnnl_memory_desc_t *from, void *src, const dnnl_memory_desc_t *to, void *dst);

#endif
