// JPEG decoding through the libjpeg-turbo that OpenCV itself uses. The pixels are
// those of cv::imdecode; what it adds is that damage which libjpeg only warns of,
// and fills with grey, is seen, and that rows come out as BGR without a second
// pass.
#include "cv.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>
#include <opencv2/core.hpp>

#ifdef JCS_EXTENSIONS

namespace {

struct errors {
	jpeg_error_mgr base;
	jmp_buf jump;
	char *msg; // text of the first damage
	int msglen;
	int damaged;
};

void keep_message(j_common_ptr c) {
	errors *e = (errors *)c->err;
	if (e->damaged) return;
	e->damaged = 1;
	char text[JMSG_LENGTH_MAX];
	e->base.format_message(c, text);
	strncpy(e->msg, text, e->msglen - 1);
	e->msg[e->msglen - 1] = 0;
}

void on_error(j_common_ptr c) {
	keep_message(c);
	longjmp(((errors *)c->err)->jump, 1);
}

// Warnings that say pixels were lost. Others (stray bytes between segments, odd
// marker versions) leave the picture whole.
void on_message(j_common_ptr c, int level) {
	if (level >= 0) return;
	switch (c->err->msg_code) {
	case JWRN_HIT_MARKER:
	case JWRN_HUFF_BAD_CODE:
	case JWRN_ARITH_BAD_CODE:
	case JWRN_JPEG_EOF:
	case JWRN_MUST_RESYNC:
		keep_message(c);
	}
}

// 0: ready to read at 1/reduce of the size; 1: error; 3: not grey, RGB or YCbCr.
// No C++ object lives here or in rows: longjmp would skip its destructor.
int begin(jpeg_decompress_struct *c, errors *e, const unsigned char *buf, long n, int reduce) {
	if (setjmp(e->jump)) return 1;
	jpeg_create_decompress(c);
	jpeg_mem_src(c, buf, (unsigned long)n);
	jpeg_read_header(c, TRUE);
	if (c->num_components != 1 && c->num_components != 3) return 3;
	c->scale_num = 1;
	c->scale_denom = reduce;
	c->out_color_space = JCS_EXT_BGR;
	jpeg_calc_output_dimensions(c);
	return 0;
}

int rows(jpeg_decompress_struct *c, errors *e, unsigned char *px, size_t step) {
	if (setjmp(e->jump)) return 1;
	jpeg_start_decompress(c);
	while (c->output_scanline < c->output_height) {
		JSAMPROW row = px + (size_t)c->output_scanline * step;
		jpeg_read_scanlines(c, &row, 1);
	}
	jpeg_finish_decompress(c);
	return 0;
}

} // namespace

int mv_decode_jpeg(void *mat, const unsigned char *buf, long n, int reduce, char *msg, int msglen) {
	cv::Mat *dst = (cv::Mat *)mat;
	jpeg_decompress_struct c;
	errors e;
	memset(&c, 0, sizeof c);
	msg[0] = 0;
	c.err = jpeg_std_error(&e.base);
	e.base.error_exit = on_error;
	e.base.emit_message = on_message;
	e.msg = msg;
	e.msglen = msglen;
	e.damaged = 0;
	int rc = begin(&c, &e, buf, n, reduce);
	if (rc == 0) {
		try {
			dst->create((int)c.output_height, (int)c.output_width, CV_8UC3);
		} catch (const std::exception &ex) {
			strncpy(msg, ex.what(), msglen - 1);
			msg[msglen - 1] = 0;
			rc = 2;
		}
	}
	if (rc == 0) rc = rows(&c, &e, dst->data, dst->step);
	jpeg_destroy_decompress(&c);
	if (rc == 0 && e.damaged) rc = 2;
	return rc == 1 ? 2 : rc;
}

#else

int mv_decode_jpeg(void *, const unsigned char *, long, int, char *msg, int) {
	msg[0] = 0;
	return 3;
}

#endif
