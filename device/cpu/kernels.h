// The C loops, as steps of a kernel: p holds addresses, n sizes, f constants, in
// the order that each one's comment gives.
#ifndef MV_KERNELS_H
#define MV_KERNELS_H

#include <stdint.h>

#define MV_LOOP(name) void name(void **p, const int64_t *n, const double *f)

int64_t mv_bn_scratch(int64_t c, int64_t threads);
int64_t mv_bn_half_scratch(int64_t c, int64_t threads);
MV_LOOP(mv_bn);
MV_LOOP(mv_bn_global);
MV_LOOP(mv_bn_backward);
MV_LOOP(mv_running);
MV_LOOP(mv_fold);

MV_LOOP(mv_relu);
MV_LOOP(mv_relu_backward);
MV_LOOP(mv_add);
MV_LOOP(mv_move);
MV_LOOP(mv_fuse);
MV_LOOP(mv_fuse_backward);
MV_LOOP(mv_fill);
MV_LOOP(mv_columns);
MV_LOOP(mv_column_sums);

MV_LOOP(mv_cast_wide);
MV_LOOP(mv_cast_bf16);
MV_LOOP(mv_widen_used);
MV_LOOP(mv_round_used);
MV_LOOP(mv_relu_bf16);
MV_LOOP(mv_relu_backward_bf16);
MV_LOOP(mv_add_bf16);
MV_LOOP(mv_columns_bf16);
MV_LOOP(mv_move_bf16);
MV_LOOP(mv_fuse_bf16);
// mv_bf16_rate times products of bf16 numbers and returns how many times as many there
// are a second as of float32, 0 where the CPU has none. It takes a few milliseconds.
double mv_bf16_rate(void);
MV_LOOP(mv_column_sums_bf16);
MV_LOOP(mv_gap_bf16);
MV_LOOP(mv_gap_backward_bf16);

MV_LOOP(mv_winograd_taps);
MV_LOOP(mv_winograd);
MV_LOOP(mv_winograd_weights);
MV_LOOP(mv_pointwise);
MV_LOOP(mv_linear_row);
MV_LOOP(mv_pointwise_weights);

MV_LOOP(mv_maxpool);
MV_LOOP(mv_maxpool_bf16);
MV_LOOP(mv_maxpool_backward);
MV_LOOP(mv_maxpool_backward_bf16);
MV_LOOP(mv_avgpool);
MV_LOOP(mv_avgpool_bf16);
MV_LOOP(mv_avgpool_backward);
MV_LOOP(mv_avgpool_backward_bf16);
MV_LOOP(mv_gap);
MV_LOOP(mv_gap_backward);
MV_LOOP(mv_resize);
MV_LOOP(mv_resize_bf16);
MV_LOOP(mv_resize_backward);
MV_LOOP(mv_resize_backward_bf16);

MV_LOOP(mv_focal);
MV_LOOP(mv_focal_backward);
MV_LOOP(mv_smoothl1);
MV_LOOP(mv_smoothl1_backward);
MV_LOOP(mv_crossentropy);
MV_LOOP(mv_crossentropy_backward);
MV_LOOP(mv_sigmoid_bce);
MV_LOOP(mv_sigmoid_bce_backward);
MV_LOOP(mv_soft_crossentropy);
MV_LOOP(mv_soft_crossentropy_backward);
MV_LOOP(mv_supcon);
MV_LOOP(mv_supcon_backward);
MV_LOOP(mv_similarity);
MV_LOOP(mv_similarity_backward);
MV_LOOP(mv_dropout);

int64_t mv_pixel_scratch(int64_t c, int64_t ow);
MV_LOOP(mv_pixel_loss);
MV_LOOP(mv_pixel_loss_backward);

MV_LOOP(mv_layernorm);
MV_LOOP(mv_layernorm_backward);
MV_LOOP(mv_gelu);
MV_LOOP(mv_gelu_backward);
MV_LOOP(mv_tokens);
MV_LOOP(mv_tokens_backward);
MV_LOOP(mv_average);
int64_t mv_attention_scratch(int64_t t, int64_t rows, int64_t tables);
MV_LOOP(mv_attention);
MV_LOOP(mv_attention_backward);

MV_LOOP(mv_sgd);
MV_LOOP(mv_adamw);
MV_LOOP(mv_ema);
MV_LOOP(mv_norm2);
MV_LOOP(mv_squares);
MV_LOOP(mv_add_squares);
MV_LOOP(mv_distance2);

#endif
