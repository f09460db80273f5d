// Package weights reads and writes tensors in the safetensors form and, built on
// it, checkpoints: one file holds parameters, buffers, optimizer state and, in
// its metadata, everything else that a resumed run needs. Files are replaced
// atomically, so that a crash or a full disk at any instant leaves the previous
// one as it was.
package weights
