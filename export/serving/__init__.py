"""A development server that speaks TF Serving's REST and gRPC predict protocols.

Names of fields, paths, codes and the rules of conversion are TF Serving's, from its `api_rest.md`,
`json_tensor.cc` and `predict_util.cc`.
"""
