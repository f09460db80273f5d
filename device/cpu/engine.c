#include "engine.h"
#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static __thread int mv_current;

int mv_is_runner(int device) { return mv_current == device; }

// libgomp lets idle threads of a team spin for milliseconds unless it manages more
// threads than there are cores; then they sleep almost at once. A team that is
// never used again, parked on a thread of its own, makes it so for good.
static void *park(void *done) {
	int n = omp_get_num_procs() + 1, started = 0;
	omp_set_dynamic(0);
#pragma omp parallel num_threads(n) reduction(+ : started)
	started += 1;
	__atomic_store_n((int *)done, started, __ATOMIC_RELEASE);
	for (;;) pause();
	return 0;
}

int mv_calm(void) {
	static int done;
	if (__atomic_load_n(&done, __ATOMIC_ACQUIRE)) return 0;
	pthread_t t;
	pthread_attr_t a;
	pthread_attr_init(&a);
	pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
	int err = pthread_create(&t, &a, park, &done);
	pthread_attr_destroy(&a);
	while (!err && !__atomic_load_n(&done, __ATOMIC_ACQUIRE)) usleep(100);
	return err;
}

// Handlers must not run on the stacks of the team's threads: those that libgomp
// makes have no stack for signals, and oneDNN's sgemm keeps data below its stack
// pointer. They inherit the mask from this thread, and libgomp ends and makes them as
// it likes, so it stays for good. SIGURG, Go's own, is sent to single threads of Go.
static void mask_signals(void) {
	static const int kept[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGURG};
	sigset_t m;
	sigfillset(&m);
	for (unsigned i = 0; i < sizeof kept / sizeof *kept; i++) sigdelset(&m, kept[i]);
	pthread_sigmask(SIG_BLOCK, &m, 0);
}

// Arithmetic with denormal numbers (below 1.2e-38) takes a CPU a hundred times as long:
// gradients of a loss that is all but certain are such numbers, and made steps of
// ResNet-50 take 1.7 times as long. They count as zero. The threads of the team inherit it.
static void flush_denormals(void) {
#if defined(__SSE2__)
	enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040 };
	__builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
#elif defined(__aarch64__)
	uint64_t fpcr;
	__asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
	__asm__ volatile("msr fpcr, %0" : : "r"(fpcr | UINT64_C(1) << 24));
#endif
}

void mv_adopt(int threads, int device) {
	mask_signals();
	flush_denormals();
	omp_set_num_threads(threads);
	omp_set_dynamic(0);
	mv_current = device;
}

void mv_rest(void) { omp_pause_resource_all(omp_pause_soft); }

int mv_open(dnnl_engine_t *engine, dnnl_stream_t *stream) {
	*engine = 0;
	*stream = 0;
	int st = dnnl_engine_create(engine, dnnl_cpu, 0);
	if (st) return st;
	return dnnl_stream_create(stream, *engine, dnnl_stream_default_flags);
}

void mv_close(dnnl_engine_t engine, dnnl_stream_t stream) {
	if (stream) dnnl_stream_destroy(stream);
	if (engine) dnnl_engine_destroy(engine);
}

mv_kernel *mv_kernel_new(int device, dnnl_engine_t engine, dnnl_stream_t stream) {
	mv_kernel *k = calloc(1, sizeof *k);
	if (!k) return 0;
	k->device = device;
	k->engine = engine;
	k->stream = stream;
	return k;
}

void mv_kernel_free(mv_kernel *k) {
	for (int i = 0; i < k->nsteps; i++) {
		mv_step *s = &k->steps[i];
		if (s->prim) dnnl_primitive_destroy(s->prim);
		free(s->args);
		free(s->p);
		free(s->places);
		free(s->n);
		free(s->f);
	}
	for (int i = 0; i < k->nmems; i++) dnnl_memory_destroy(k->mems[i]);
	free(k->steps);
	free(k->mems);
	free(k->places);
	free(k);
}

int mv_kernel_memory(mv_kernel *k, const dnnl_memory_desc_t *md, mv_place place, int *index) {
	dnnl_memory_t *mems = realloc(k->mems, (k->nmems + 1) * sizeof *mems);
	if (!mems) return dnnl_out_of_memory;
	k->mems = mems;
	mv_place *places = realloc(k->places, (k->nmems + 1) * sizeof *places);
	if (!places) return dnnl_out_of_memory;
	k->places = places;
	int st = dnnl_memory_create(&mems[k->nmems], md, k->engine, DNNL_MEMORY_NONE);
	if (st) return st;
	places[k->nmems] = place;
	*index = k->nmems++;
	return 0;
}

static mv_step *add_step(mv_kernel *k) {
	mv_step *s = realloc(k->steps, (k->nsteps + 1) * sizeof *s);
	if (!s) return 0;
	k->steps = s;
	s += k->nsteps++;
	memset(s, 0, sizeof *s);
	return s;
}

int mv_kernel_primitive(mv_kernel *k, dnnl_primitive_desc_t pd, int nargs, const int *ids, const int *mems) {
	mv_step *s = add_step(k);
	if (!s) return dnnl_out_of_memory;
	s->args = calloc(nargs, sizeof *s->args);
	if (!s->args) return dnnl_out_of_memory;
	s->nargs = nargs;
	for (int i = 0; i < nargs; i++) {
		s->args[i].arg = ids[i];
		s->args[i].memory = k->mems[mems[i]];
	}
	return dnnl_primitive_create(&s->prim, pd);
}

int mv_kernel_loop(mv_kernel *k, mv_loop loop, int np, const mv_place *places, int nn, const int64_t *n, int nf, const double *f) {
	mv_step *s = add_step(k);
	if (!s) return dnnl_out_of_memory;
	s->loop = loop;
	s->np = np;
	s->p = calloc(np + 1, sizeof *s->p);
	s->places = calloc(np + 1, sizeof *s->places);
	s->n = calloc(nn + 1, sizeof *s->n);
	s->f = calloc(nf + 1, sizeof *s->f);
	if (!s->p || !s->places || !s->n || !s->f) return dnnl_out_of_memory;
	memcpy(s->places, places, np * sizeof *places);
	memcpy(s->n, n, nn * sizeof *n);
	memcpy(s->f, f, nf * sizeof *f);
	return 0;
}

void mv_kernel_spread(mv_kernel *k) { k->spread = k->nsteps; }

static void *address(mv_place p, void **args, char *scratch) {
	if (p.arg == MV_ARG_CONST) return p.constant;
	if (p.arg == MV_ARG_SCRATCH) return scratch + p.off;
	return (char *)args[p.arg] + p.off;
}

int mv_kernel_bind(mv_kernel *k, void **args, char *scratch) {
	for (int i = 0; i < k->nmems; i++) {
		int st = dnnl_memory_set_data_handle(k->mems[i], address(k->places[i], args, scratch));
		if (st) return st;
	}
	for (int i = 0; i < k->nsteps; i++) {
		mv_step *s = &k->steps[i];
		for (int j = 0; j < s->np; j++) s->p[j] = address(s->places[j], args, scratch);
	}
	return 0;
}

int mv_kernel_run(mv_kernel *k) {
	if (mv_current != k->device) return MV_WRONG_THREAD;
#pragma omp parallel for schedule(dynamic) if (k->spread > 1)
	for (int i = 0; i < k->spread; i++) {
		mv_step *s = &k->steps[i];
		s->loop(s->p, s->n, s->f);
	}
	for (int i = k->spread; i < k->nsteps; i++) {
		mv_step *s = &k->steps[i];
		if (s->prim) {
			int st = dnnl_primitive_execute(s->prim, k->stream, s->nargs, s->args);
			if (st) {
				k->failed = i;
				return st;
			}
		} else {
			s->loop(s->p, s->n, s->f);
		}
	}
	return 0;
}

enum { HUGE = 2 << 20 };

static size_t whole_pages(int64_t bytes) {
	size_t page = sysconf(_SC_PAGESIZE);
	return ((size_t)bytes + page - 1) / page * page;
}

void *mv_alloc(int64_t bytes) {
	if (bytes < HUGE) {
		void *p = 0;
		if (posix_memalign(&p, 64, bytes > 0 ? (bytes + 63) / 64 * 64 : 64)) return 0;
		memset(p, 0, bytes);
		return p;
	}
	// Reserve more than asked for, keep the aligned part. Only whole huge pages are
	// asked for: what lies behind the last of them takes small ones.
	size_t size = whole_pages(bytes), huge = (size_t)bytes / HUGE * HUGE;
	char *base = mmap(0, size + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED) return 0;
	char *p = (char *)(((uintptr_t)base + HUGE - 1) / HUGE * HUGE);
	if (p > base) munmap(base, p - base);
	if (base + HUGE > p) munmap(p + size, base + HUGE - p);
#ifdef MADV_HUGEPAGE
	madvise(p, huge, MADV_HUGEPAGE);
#endif
	return p;
}

void mv_free(void *p, int64_t bytes) {
	if (bytes < HUGE)
		free(p);
	else
		munmap(p, whole_pages(bytes));
}
