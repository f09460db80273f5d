// Package weights reads weights as PyTorch (.pth, .pt, .th: the zip form and the
// one before 1.6) and safetensors store them and writes safetensors. Built on it
// are checkpoints: one safetensors file holds parameters, buffers, optimizer state
// and, in its metadata, everything else that a resumed run needs. Files are
// replaced atomically, so that a crash or a full disk at any instant leaves the
// previous one as it was.
//
// A PyTorch file is a program for a stack machine. The reader here runs only the
// part that builds data, imports and calls nothing and pays for every object from
// a budget. (gopickle v0.2.0 panics on 5 of the 113 hostile files of the tests,
// takes 4.3 GB for one of 330 bytes, passes 37 as good, holds whole files in memory
// and knows neither torch._utils._rebuild_tensor nor argparse.Namespace.)
package weights
