#ifndef MANVISION_AUGMENT_CV_H
#define MANVISION_AUGMENT_CV_H
#ifdef __cplusplus
extern "C" {
#endif

// mv_single_thread turns OpenCV's own threading off for the process.
void mv_single_thread(void);

// mv_decode decodes an image file held in buf into the cv::Mat at mat. 0: decoded; 1: not decodable; 2: OpenCV
// threw, text in msg.
int mv_decode(void *mat, const unsigned char *buf, long n, int flags, char *msg, int msglen);

// mv_decode_jpeg is mv_decode for a JPEG, at 1/reduce (1, 2, 4, 8) of its size,
// EXIF orientation not applied. 2 also where libjpeg warns of lost pixels; 3: a
// form it leaves to mv_decode (CMYK, YCCK).
int mv_decode_jpeg(void *mat, const unsigned char *buf, long n, int reduce, char *msg, int msglen);

// mv_png is what decoding PNGs keeps from file to file.
typedef struct mv_png mv_png;
mv_png *mv_png_new(void);
void mv_png_free(mv_png *s);

// mv_decode_png is mv_decode for an 8-bit RGB PNG. 3: another form, or something is
// wrong with it; mv_decode knows.
int mv_decode_png(mv_png *s, void *mat, const unsigned char *buf, long n);

// mv_shape reads rows, columns, row step in bytes and data pointer of a Mat.
const unsigned char *mv_shape(void *mat, int *rows, int *cols, long *step);

// mv_normalize writes the BGR bytes of a w x h image as RGB floats v*scale+shift
// (both indexed R, G, B), mirrored left to right if flip is set, and zeroes the
// rest of the cw x ch canvas at dst (tightly packed, 3 floats a pixel).
void mv_normalize(const unsigned char *src, long step, int w, int h, float *dst, int cw, int ch,
                  const float *scale, const float *shift, int flip);

// mv_colour applies brightness, contrast and saturation factors in place to BGR
// bytes, in this order; 1 leaves a property as it is.
void mv_colour(unsigned char *px, long step, int w, int h, float brightness, float contrast, float saturation);

// mv_hue adds add (modulo 256) to the first of three channels.
void mv_hue(unsigned char *px, long step, int w, int h, int add);

// mv_levels sends three channels of bytes through one table each, in place.
void mv_levels(unsigned char *px, long step, int w, int h, const unsigned char *t0, const unsigned char *t1,
               const unsigned char *t2);

// mv_resize_window resizes the 8-bit BGR cv::Mat at src bilinearly (half-pixel
// centres) to fw x fh pixels and writes the window of w x h pixels at x, y of it to
// the cv::Mat at dst; pixels outside the window are not computed. The window must
// lie inside. The pixels are those of cv::resize.
void mv_resize_window(const void *src, void *dst, int fw, int fh, int x, int y, int w, int h);

// mv_resample resizes the 8-bit BGR cv::Mat at src to fw x fh pixels and writes the
// window of w x h pixels at x, y of it to the cv::Mat at dst. filter 0 is a
// triangle (bilinear), 1 a cubic (a = -0.5), both widened by how much the image
// shrinks. The window must lie inside. The pixels are Pillow's.
void mv_resample(const void *src, void *dst, int fw, int fh, int x, int y, int w, int h, int filter);

// mv_from_rgb makes the cv::Mat at dst the w x h image whose R, G, B bytes are at
// rgb; mv_to_rgb is the way back.
void mv_from_rgb(void *dst, const unsigned char *rgb, int w, int h);
void mv_to_rgb(const void *src, unsigned char *rgb);

// mv_cut makes the cv::Mat at dst the window of w x h pixels at x, y of the 8-bit
// BGR cv::Mat at src. Outside of src there is black, or, with reflect, src
// mirrored at its outermost pixels, which are not repeated.
void mv_cut(const void *src, void *dst, int x, int y, int w, int h, int reflect);

#ifdef __cplusplus
}
#endif
#endif
