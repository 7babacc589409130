/* AFL++ as the fuzzer of a step: each input goes to `wasmexec fuzz serve STEP`, a line each way.

   afl-cc -o afl_harness afl_harness.c
   AFL_FORKSRV_INIT_TMOUT=60000 afl-fuzz -t 10000 -i seeds -o found -- ./afl_harness orders.step.yaml

   Built by another compiler it runs the files that are named behind the step, one after the other. A finding aborts. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_BYTES 4096
#define MAP_BYTES 65536

static FILE *requests, *answers;

static void start(char *step) {
  int in[2], out[2];
  if (pipe(in) || pipe(out)) exit(2);
  pid_t child = fork();
  if (child < 0) exit(2);
  if (child == 0) {
    dup2(in[0], 0);
    dup2(out[1], 1);
    for (int fd = 3; fd < 256; fd++) close(fd);
    execlp("wasmexec", "wasmexec", "fuzz", "serve", step, (char *)NULL);
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  requests = fdopen(in[1], "w");
  answers = fdopen(out[0], "r");
}

/* Ask for the verdict on some bytes; `map` gets what of the statement they have passed. */
static void run(const unsigned char *data, size_t size, unsigned char *map) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  static char *line;
  static size_t room;
  fputs("{\"bytes\": \"", requests);
  for (size_t at = 0; at < size; at += 3) {
    unsigned bits = data[at] << 16;
    if (at + 1 < size) bits |= data[at + 1] << 8;
    if (at + 2 < size) bits |= data[at + 2];
    fputc(digits[bits >> 18], requests);
    fputc(digits[bits >> 12 & 63], requests);
    fputc(at + 1 < size ? digits[bits >> 6 & 63] : '=', requests);
    fputc(at + 2 < size ? digits[bits & 63] : '=', requests);
  }
  fputs("\"}\n", requests);
  fflush(requests);
  if (getline(&line, &room, answers) <= 0) {
    fputs("wasmexec has ended\n", stderr);
    exit(2);
  }
  /* It is the last key; texts in what stands before it have their quotes escaped. */
  char *covered = NULL;
  for (char *found = line; (found = strstr(found, "\"coverage\":[")); found++) covered = found + 12;
  for (char *at = covered; at && *at >= '0' && *at <= '9'; at += *at == ',') map[strtoul(at, &at, 10) % MAP_BYTES] |= 1;
  if (strncmp(line, "{\"ok\":true,", 11) || !strstr(line, "\"finding\":null")) {
    fputs(line, stderr);
    abort();
  }
}

#ifdef __AFL_LOOP
extern unsigned char *__afl_area_ptr;
__AFL_FUZZ_INIT();

int main(int count, char **names) {
  if (count != 2) return 2;
  __AFL_INIT();
  start(names[1]);
  while (__AFL_LOOP(100000)) run(__AFL_FUZZ_TESTCASE_BUF, __AFL_FUZZ_TESTCASE_LEN, __afl_area_ptr);
  return 0;
}
#else
static unsigned char map[MAP_BYTES];

int main(int count, char **names) {
  if (count < 2) return 2;
  start(names[1]);
  for (int at = 2; at < count; at++) {
    unsigned char data[MOST_BYTES];
    FILE *file = fopen(names[at], "rb");
    if (!file) return 2;
    run(data, fread(data, 1, sizeof data, file), map);
    fclose(file);
    printf("%s: nothing found\n", names[at]);
    fflush(stdout);
  }
  return 0;
}
#endif
