#include "engine.h"
#include <string.h>

static void activation(dnnl_memory_desc_t *md, int64_t n, int64_t c, int64_t h, int64_t w, int layout, dnnl_data_type_t type) {
	dnnl_dims_t d = {n, c, h, w};
	dnnl_format_tag_t tag = layout == MV_NHWC ? dnnl_nhwc : layout == MV_BLOCKED ? dnnl_nChw16c : dnnl_format_tag_any;
	dnnl_memory_desc_init_by_tag(md, 4, d, type, tag);
}

void mv_filter_md(dnnl_memory_desc_t *md, int64_t o, int64_t i, int64_t h, int64_t w, int64_t g) {
	if (g > 1) {
		dnnl_dims_t d = {g, o / g, i, h, w};
		dnnl_memory_desc_init_by_tag(md, 5, d, dnnl_f32, dnnl_goihw);
	} else {
		dnnl_dims_t d = {o, i, h, w};
		dnnl_memory_desc_init_by_tag(md, 4, d, dnnl_f32, dnnl_oihw);
	}
}

void mv_dense_md(dnnl_memory_desc_t *md, int nd, const int64_t *dims) {
	dnnl_dims_t d, s;
	int64_t stride = 1;
	for (int i = nd - 1; i >= 0; i--) {
		d[i] = dims[i];
		s[i] = stride;
		stride *= dims[i];
	}
	dnnl_memory_desc_init_by_strides(md, nd, d, dnnl_f32, s);
}

static int is_reference(dnnl_primitive_desc_t pd, const char **name) {
	*name = "";
	dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)name);
	return strncmp(*name, "ref", 3) == 0 || strstr(*name, ":ref") != 0;
}

// skipped: an implementation whose name starts with skip is passed over.
static int skipped(const char *name, const char *skip) {
	size_t n = strlen(skip);
	return n && strncmp(name, skip, n) == 0;
}

static int first_fast(dnnl_engine_t e, const void *desc, const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t hint,
	const char *skip, const char *faulty, dnnl_primitive_desc_t *pd, char *impl) {
	dnnl_primitive_desc_iterator_t it = 0;
	int st = dnnl_primitive_desc_iterator_create(&it, desc, attr, e, hint);
	if (st) return st;
	const char *name;
	for (;;) {
		*pd = dnnl_primitive_desc_iterator_fetch(it);
		if (!*pd) {
			st = dnnl_unimplemented;
			break;
		}
		if (!is_reference(*pd, &name) && !skipped(name, skip) && !skipped(name, faulty)) {
			if (impl) {
				strncpy(impl, name, 63);
				impl[63] = 0;
			}
			break;
		}
		dnnl_primitive_desc_destroy(*pd);
		*pd = 0;
		st = dnnl_primitive_desc_iterator_next(it);
		if (st == dnnl_iterator_ends) st = dnnl_unimplemented;
		if (st) break;
	}
	dnnl_primitive_desc_iterator_destroy(it);
	return st;
}

static void any_filter(dnnl_memory_desc_t *md, const mv_conv *c, dnnl_data_type_t type) {
	if (c->g > 1) {
		dnnl_dims_t d = {c->g, c->oc / c->g, c->ic / c->g, c->kh, c->kw};
		dnnl_memory_desc_init_by_tag(md, 5, d, type, dnnl_format_tag_any);
	} else {
		dnnl_dims_t d = {c->oc, c->ic, c->kh, c->kw};
		dnnl_memory_desc_init_by_tag(md, 4, d, type, dnnl_format_tag_any);
	}
}

int mv_conv_pd(dnnl_engine_t e, const mv_conv *c, int dir, int alg, int layout, const dnnl_memory_desc_t *weights,
	dnnl_primitive_desc_t *pd, char *impl) {
	dnnl_memory_desc_t x, y, w, b;
	*pd = 0;
	const dnnl_data_type_t type = c->bf16 ? dnnl_bf16 : dnnl_f32;
	activation(&x, c->n, c->ic, c->h, c->w, layout, type);
	activation(&y, c->n, c->oc, c->oh, c->ow, layout, c->wide ? dnnl_f32 : type);
	if (weights)
		w = *weights;
	else
		any_filter(&w, c, type);
	dnnl_dims_t bd = {c->oc};
	dnnl_memory_desc_init_by_tag(&b, 1, bd, dnnl_f32, dnnl_x);
	dnnl_dims_t s = {c->sh, c->sw}, d = {c->dh - 1, c->dw - 1}, p = {c->ph, c->pw};
	const dnnl_alg_kind_t a = dnnl_convolution_direct;

	dnnl_primitive_attr_t attr;
	int st = dnnl_primitive_attr_create(&attr);
	if (st) return st;
	dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
	if (dir == MV_FORWARD && (c->relu || c->sum)) {
		dnnl_post_ops_t ops;
		st = dnnl_post_ops_create(&ops);
		if (!st) {
			if (c->sum) dnnl_post_ops_append_sum(ops, 1.f);
			if (c->relu) dnnl_post_ops_append_eltwise(ops, 1.f, dnnl_eltwise_relu, 0.f, 0.f);
			dnnl_primitive_attr_set_post_ops(attr, ops);
			dnnl_post_ops_destroy(ops);
		}
	}
	const char *skip = alg == MV_JIT ? "brg" : "";
	// With strides and channels that are no multiple of the vector these compute
	// wrong weight gradients (AVX2) or write beyond their scratchpad (AVX2, AVX-512;
	// oneDNN 2.6).
	const char *faulty = (c->sh > 1 || c->sw > 1) && (c->ic % 16 || c->oc % 16) ? "jit_1x1" : "";
	dnnl_convolution_desc_t cd;
	int fwd_bias = c->bias && dir != MV_BACKWARD_DATA;
	if (!st) st = dnnl_dilated_convolution_forward_desc_init(&cd, dnnl_forward_training, a, &x, &w, fwd_bias ? &b : 0, &y, s, d, p, p);
	if (!st && dir == MV_FORWARD) {
		st = first_fast(e, &cd, attr, 0, skip, faulty, pd, impl);
	} else if (!st) {
		// A backward primitive wants a forward one as a hint; it need not be fast.
		dnnl_primitive_desc_t hint = 0;
		dnnl_primitive_attr_t plain = 0;
		st = dnnl_primitive_desc_create(&hint, &cd, plain, e, 0);
		if (!st) {
			if (dir == MV_BACKWARD_DATA) {
				st = dnnl_dilated_convolution_backward_data_desc_init(&cd, a, &x, &w, &y, s, d, p, p);
			} else {
				if (c->bf16) any_filter(&w, c, dnnl_f32); // its gradient
				st = dnnl_dilated_convolution_backward_weights_desc_init(&cd, a, &x, &w, c->bias ? &b : 0, &y, s, d, p, p);
			}
		}
		if (!st) st = first_fast(e, &cd, attr, hint, skip, faulty, pd, impl);
		if (hint) dnnl_primitive_desc_destroy(hint);
	}
	dnnl_primitive_attr_destroy(attr);
	return st;
}

int mv_reorder_pd(dnnl_engine_t e, const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to, dnnl_primitive_desc_t *pd) {
	dnnl_primitive_attr_t attr;
	int st = dnnl_primitive_attr_create(&attr);
	if (st) return st;
	dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
	st = dnnl_reorder_primitive_desc_create(pd, from, e, to, e, attr);
	dnnl_primitive_attr_destroy(attr);
	return st;
}

int mv_matmul_pd(dnnl_engine_t e, int64_t m, int64_t k, int64_t n, int ta, int tb, int bias, dnnl_primitive_desc_t *pd) {
	dnnl_memory_desc_t a, b, c, y;
	dnnl_dims_t ad = {m, k}, bd = {k, n}, cd = {1, n}, yd = {m, n};
	dnnl_memory_desc_init_by_tag(&a, 2, ad, dnnl_f32, ta ? dnnl_ba : dnnl_ab);
	dnnl_memory_desc_init_by_tag(&b, 2, bd, dnnl_f32, tb ? dnnl_ba : dnnl_ab);
	dnnl_memory_desc_init_by_tag(&c, 2, cd, dnnl_f32, dnnl_ab);
	dnnl_memory_desc_init_by_tag(&y, 2, yd, dnnl_f32, dnnl_ab);
	dnnl_matmul_desc_t d;
	int st = dnnl_matmul_desc_init(&d, &a, &b, bias ? &c : 0, &y);
	if (st) return st;
	dnnl_primitive_attr_t attr;
	st = dnnl_primitive_attr_create(&attr);
	if (st) return st;
	dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
	st = first_fast(e, &d, attr, 0, "", "", pd, 0);
	dnnl_primitive_attr_destroy(attr);
	return st;
}

void mv_query_md(dnnl_primitive_desc_t pd, int what, int index, dnnl_memory_desc_t *md) {
	const dnnl_memory_desc_t *q = dnnl_primitive_desc_query_md(pd, (dnnl_query_t)what, index);
	if (q)
		*md = *q;
	else
		memset(md, 0, sizeof *md);
}

int mv_reorder_now(dnnl_engine_t e, dnnl_stream_t s, const dnnl_memory_desc_t *from, void *src, const dnnl_memory_desc_t *to, void *dst) {
	dnnl_primitive_desc_t pd = 0;
	dnnl_primitive_t prim = 0;
	dnnl_memory_t a = 0, b = 0;
	int st = dnnl_reorder_primitive_desc_create(&pd, from, e, to, e, 0);
	if (!st) st = dnnl_primitive_create(&prim, pd);
	if (!st) st = dnnl_memory_create(&a, from, e, src);
	if (!st) st = dnnl_memory_create(&b, to, e, dst);
	if (!st) {
		dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, a}, {DNNL_ARG_TO, b}};
		st = dnnl_primitive_execute(prim, s, 2, args);
	}
	if (!st) st = dnnl_stream_wait(s);
	if (a) dnnl_memory_destroy(a);
	if (b) dnnl_memory_destroy(b);
	if (prim) dnnl_primitive_destroy(prim);
	if (pd) dnnl_primitive_desc_destroy(pd);
	return st;
}
