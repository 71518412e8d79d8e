"""Networks over images: MobileNetV2, ResNet18 and a detector."""

from .graph import FLOAT, INT64, Graph, Whole, floats, named

#: Expansion, channels, blocks and stride of each stage (Sandler et al. 2018, table 2).
MOBILE = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
#: The same kinds of blocks: with and without stride, with and without a shortcut.
MOBILE_SMALL = [(1, 8, 1, 1), (6, 8, 2, 2), (3, 16, 1, 1)]


def mobilenet(name, side, stages=None, stem=32, head=1280, classes=1000, batches=(1,)):
    """MobileNetV2: inverted residuals with depthwise convolutions and ReLU6."""
    g = Graph(name)
    limits = (g.float(0), g.float(6))

    def relu6(x):
        return g.node("Clip", x, *limits)

    x, channels = relu6(g.conv("image", 3, stem, 3, stride=2)), stem
    for expansion, width, blocks, first in stages or MOBILE:
        for block in range(blocks):
            stride, hidden, before = first if block == 0 else 1, channels * expansion, x
            if expansion != 1:
                x = relu6(g.conv(x, channels, hidden, 1))
            x = relu6(g.conv(x, hidden, hidden, 3, stride=stride, group=hidden))
            x = g.conv(x, hidden, width, 1, gain=1.0)
            if stride == 1 and channels == width:
                x = g.node("Add", before, x)
            channels = width
    x = relu6(g.conv(x, channels, head, 1))
    x = g.node("Flatten", g.node("GlobalAveragePool", x), axis=1)
    g.node("Gemm", x, g.weight(classes, head, scale=head ** -0.5), g.weight(classes, scale=0.1), outputs=["logits"],
           transB=1)
    model = g.model([("image", FLOAT, ["batch", 3, side, side])], [("logits", FLOAT, ["batch", classes])])
    random = named(name)
    return Whole(model, [{"image": floats(random, batch, 3, side, side)} for batch in batches])


def resnet(name, side, widths=(64, 128, 256, 512), classes=1000, batches=(1,)):
    """ResNet18: two blocks of two 3x3 convolutions in each of four stages (He et al. 2016, table 1)."""
    g = Graph(name)
    x = g.node("Relu", g.conv("image", 3, widths[0], 7, stride=2))
    x, channels = g.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), widths[0]
    for stage, width in enumerate(widths):
        for block in range(2):
            stride = 2 if block == 0 and stage > 0 else 1
            inner = g.node("Relu", g.conv(x, channels, width, 3, stride=stride))
            inner = g.conv(inner, width, width, 3, gain=1.0)
            shortcut = x if stride == 1 and channels == width else g.conv(x, channels, width, 1, stride, gain=1.0)
            x, channels = g.node("Relu", g.node("Add", inner, shortcut)), width
    x = g.node("Flatten", g.node("GlobalAveragePool", x), axis=1)
    g.node("Gemm", x, g.weight(classes, channels, scale=channels ** -0.5), g.weight(classes, scale=0.1),
           outputs=["logits"], transB=1)
    model = g.model([("image", FLOAT, ["batch", 3, side, side])], [("logits", FLOAT, ["batch", classes])])
    random = named(name)
    return Whole(model, [{"image": floats(random, batch, 3, side, side)} for batch in batches])


def detector(name, sides, width=16, classes=4, found=20):
    """A backbone with SiLU, upsampling to a finer grid, and a decoded head whose boxes may not overlap.

    As YOLO's exporters write it: cell numbers come from the shape of the grid, boxes are centre and
    extent, and what is kept is gathered by the indices that the suppression gives.
    """
    g = Graph(name)

    def block(x, before, after, stride=1):
        x = g.conv(x, before, after, 3, stride)
        return g.node("Mul", x, g.node("Sigmoid", x))

    fine = block(block("image", 3, width, 2), width, 2 * width, 2)
    coarse = block(fine, 2 * width, 2 * width, 2)
    up = g.node("Resize", coarse, "", g.float([1, 1, 2, 2]), mode="nearest", nearest_mode="floor",
                coordinate_transformation_mode="asymmetric")
    head = g.conv(block(g.node("Concat", up, fine, axis=1), 4 * width, 2 * width), 2 * width, 4 + classes, 1)
    shape = g.node("Shape", head)
    rows, columns = (g.node("Gather", shape, g.constant(at)) for at in (2, 3))
    cells = g.node("Slice", shape, g.constant([2]), g.constant([4]))

    def numbers(count, axis):
        """The number of each cell's column, or row, over the whole grid."""
        places = g.node("Cast", g.node("Range", g.constant(0), count, g.constant(1)), to=FLOAT)
        return g.node("Unsqueeze", g.node("Expand", g.node("Unsqueeze", places, g.constant([axis])), cells),
                      g.constant([0]))

    centres = g.node("Concat", numbers(columns, 0), numbers(rows, 1), axis=0)
    parts = [f"{name}_{part}" for part in ("centre", "extent", "classes")]
    g.node("Split", head, g.constant([2, 2, classes]), outputs=parts, axis=1)
    moved = g.node("Add", g.node("Sigmoid", parts[0]), centres)
    centre = g.node("Mul", moved, g.float(4.0))
    extent = g.node("Mul", g.node("Exp", g.node("Clip", parts[1], g.float(-4), g.float(4))), g.float(4.0))
    boxes = g.node("Concat", centre, extent, axis=1)
    boxes = g.node("Transpose", g.node("Reshape", boxes, g.constant([0, 4, -1])), perm=[0, 2, 1], outputs=["boxes"])
    scores = g.node("Reshape", g.node("Sigmoid", parts[2]), g.constant([0, classes, -1]), outputs=["scores"])
    g.node("NonMaxSuppression", boxes, scores, g.constant([found]), g.float([0.45]), g.float([0.5]),
           outputs=["kept"], center_point_box=1)
    # The image and the box of each index that was kept.
    picked = g.node("Gather", "kept", g.constant([0, 2]), axis=1)
    g.node("GatherND", boxes, picked, outputs=["kept_boxes"])
    model = g.model(
        [("image", FLOAT, ["batch", 3, "rows", "columns"])],
        [("boxes", FLOAT, ["batch", "cells", 4]), ("scores", FLOAT, ["batch", classes, "cells"]),
         ("kept", INT64, ["found", 3]), ("kept_boxes", FLOAT, ["found", 4])])
    random = named(name)
    return Whole(model, [{"image": floats(random, batch, 3, tall, wide)} for batch, tall, wide in sides])
