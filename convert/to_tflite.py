"""A trained network to an int8 .tflite: pixels minus 128 in, int8 logits out, every operator in integers.

TensorFlow's own converter does it: its min-max ranges give the input a scale of exactly 1, which
litert-quantizer's smoothed ones do not (docs/decisions/0004).
"""

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from convert.calibration import CalibrationSet
from edge.errors import Refused


def int8(model: keras.Model, calibration: CalibrationSet) -> bytes:
    """The bytes of the quantized `model` (batch size 1). Raises Refused where it is not all int8, or its input's
    scale not exactly 1.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _one_by_one(calibration.images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    quantized = bytes(converter.convert())
    interpreter = Interpreter(model_content=quantized)
    types = {np.dtype(tensor["dtype"]).name for tensor in interpreter.get_tensor_details()}
    if not types <= {"int8", "int32"}:  # int32: biases and shapes
        raise Refused(f"the converter left tensors of {', '.join(sorted(types - {'int8', 'int32'}))} in the int8 model")
    scale, zero_point = interpreter.get_input_details()[0]["quantization"]
    if (scale, zero_point) != (1.0, -128):
        raise Refused(
            f"the int8 input came out with scale {scale} and zero point {zero_point}; the device feeds pixels minus 128, "
            "which wants 1 and -128"
        )
    return quantized


def _one_by_one(images: np.ndarray) -> Iterator[list[np.ndarray]]:
    for image in images:
        yield [image[None].astype(np.float32)]
