"""The deployment formats, one a file; a new one is a file and its name here."""

from bench.deployment.formats import exported_program, onnx_model, openvino_ir, saved_model, tflite_model

FORMATS = {
    module.FORMAT.name: module.FORMAT
    for module in (onnx_model, tflite_model, openvino_ir, saved_model, exported_program)
}
