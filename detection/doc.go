// Package detection is the object detector on top of the backbones: RetinaNet
// with its feature pyramid (Lin et al. 2017, "Feature Pyramid Networks" and
// "Focal Loss for Dense Object Detection"), the local heads by which MAN++ trains
// it block by block, anchors and their assignment to ground truth, and
// post-processing (decoding, score threshold, class-wise suppression).
//
// Boxes are corners x1 y1 x2 y2 in pixels of the canvas, the padded image that
// the network sees. Anchors run level by level from the finest, within a level
// row by row, and within a cell by ratio, then scale. Parameters carry
// torchvision's names (backbone.body.*, backbone.fpn.*, head.*); what only local
// learning needs is named manpp.*. The evaluator is detection/cocoeval.
package detection
