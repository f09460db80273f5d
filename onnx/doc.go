// Package onnx writes inference networks as ONNX files, operator set 17.
//
// It walks the expression graph that package nn builds for inference and translates
// operation by operation, so whatever nn can build can be exported; an operation
// without a translation is an error that names it. Activations, which lie here as
// [N,H,W,C], become ONNX's [N,C,H,W]: every result is known in the one form or the
// other, and a transposition is written only where an operation needs the other form.
// Parameters are initializers of their own names, torchvision's, in PyTorch's shapes.
//
// The protocol-buffer messages are those of onnx.proto3, ONNX IR version 8.
package onnx
