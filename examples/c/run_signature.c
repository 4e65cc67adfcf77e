// Runs signatures of SavedModels through the TensorFlow C API, without Python:
//   run_signature MODEL SIGNATURE FOLDER NAME=SHAPE:FILE ... [-- MODEL SIGNATURE FOLDER ...]
// as in z=5x50:z.raw; files hold plain values in C order. Each output goes to FOLDER/<name>.raw and
// is printed as NAME=SHAPE:FILE. The exit code is the number of requests that failed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tensorflow/c/c_api.h>
enum { MOST = 16, TEXT = 4096 };
typedef struct { const char *at, *end; } Bytes;  // a protobuf message on the wire
static TF_Session *session; static TF_Graph *graph; static TF_Status *status;
static uint64_t varint(Bytes *b) {
  uint64_t value = 0;
  for (int shift = 0, more = 1; more && b->at < b->end; shift += 7, more = b->at++[0] & 128)
    value |= (uint64_t)(b->at[0] & 127) << shift;
  return value;
}
// Steps past the next field of this number; varints, the only other kind here, count as empty.
static int next(Bytes *message, unsigned number, Bytes *value) {
  while (message->at < message->end) {
    uint64_t tag = varint(message), size = varint(message);
    *value = (Bytes){message->at, message->at + (tag & 7 ? size : 0)};
    message->at = value->end;
    if (tag >> 3 == number) return 1;
  }
  return 0;
}
static int string(Bytes message, unsigned number, char *text) {
  Bytes found;
  if (!next(&message, number, &found)) return 0;
  return snprintf(text, TEXT, "%.*s", (int)(found.end - found.at), found.at);
}
// Steps past the next entry of a map, or past the one of this key.
static int entry(Bytes *message, unsigned number, const char *key, char *name, Bytes *value) {
  for (Bytes pair; next(message, number, &pair);)
    if (string(pair, 1, name) && next(&pair, 2, value) && (!key || !strcmp(key, name))) return 1;
  return 0;
}
static TF_Output endpoint(Bytes tensor_info) {
  char name[TEXT] = "", operation[TEXT] = "";
  int index = 0;
  if (string(tensor_info, 1, name)) sscanf(name, "%[^:]:%d", operation, &index);
  return (TF_Output){TF_GraphOperationByName(graph, operation), index};
}
// Runs one signature; returns what went wrong, or NULL.
static const char *run(Bytes signature, const char *folder, int count, char **given) {
  TF_Output in[MOST], out[MOST];
  TF_Tensor *fed[MOST], *got[MOST];
  char name[TEXT], names[MOST][TEXT], path[TEXT], *at;
  int results = 0;
  for (int i = 0; i < count; i++) {
    int64_t dims[MOST], size = 1, n = 0;
    Bytes inputs = signature, info;
    if (i == MOST || !(at = strchr(given[i], '='))) return "expected NAME=SHAPE:FILE, 16 at most";
    for (*at = 0; *at != ':' && n < MOST; size *= dims[n++]) dims[n] = strtoll(at + 1, &at, 10);
    if (!entry(&inputs, 1, given[i], name, &info)) return "the signature has no such input";
    in[i] = endpoint(info);
    fed[i] = TF_AllocateTensor(TF_OperationOutputType(in[i]), dims, n, 4 * size);
    FILE *file = fopen(at + 1, "rb");
    if (!file || fread(TF_TensorData(fed[i]), 4, size, file) != (size_t)size) return "short file";
    fclose(file);
  }
  for (Bytes info; results < MOST && entry(&signature, 2, NULL, names[results], &info);)
    out[results++] = endpoint(info);
  TF_SessionRun(session, NULL, in, fed, count, out, got, results, NULL, 0, NULL, status);
  for (int i = 0; TF_GetCode(status) == TF_OK && i < results; i++) {
    sprintf(path, "%.4000s/%.90s.raw", folder, names[i]);
    FILE *file = fopen(path, "wb");
    if (!file) return "an output cannot be written";
    fwrite(TF_TensorData(got[i]), 1, TF_TensorByteSize(got[i]), file);
    fclose(file);
    printf("%s=%ld", names[i], TF_Dim(got[i], 0));
    for (int d = 1; d < TF_NumDims(got[i]); d++) printf("x%ld", TF_Dim(got[i], d));
    printf(":%s\n", path);
  }
  return TF_GetCode(status) == TF_OK ? NULL : TF_Message(status);
}
int main(int argc, char **argv) {
  const char *tag = "serve", *loaded = "", *error;
  TF_Buffer *meta = NULL;  // the MetaGraphDef
  int failures = 0;
  for (int first = 1, last; first + 2 < argc; first = last + 1, failures += !!error) {
    for (last = first; last < argc && strcmp(argv[last], "--"); last++) {}
    char name[TEXT], **request = argv + first;
    status = TF_NewStatus();
    if (strcmp(loaded, request[0]))  // once for requests in a row
      session = TF_LoadSessionFromSavedModel(TF_NewSessionOptions(), NULL, request[0], &tag, 1,
                                             graph = TF_NewGraph(), meta = TF_NewBuffer(), status);
    loaded = session ? request[0] : "";
    Bytes model = {meta->data, (const char *)meta->data + meta->length}, signature;
    error = session ? "no such signature" : TF_Message(status);
    if (session && entry(&model, 5, request[1], name, &signature))
      error = run(signature, request[2], last - first - 3, request + 3);
    if (error) fprintf(stderr, "%s %s: %s\n", request[0], request[1], error);
  }
  return failures;
}
