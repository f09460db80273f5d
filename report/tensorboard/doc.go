// Package tensorboard writes numbers by step as TensorBoard's event files: TFRecord
// frames of Event messages, of which only what scalars need is written. The formats are
// tensorflow/core/lib/io/record_writer.cc, core/util/event.proto and
// core/framework/summary.proto.
package tensorboard
