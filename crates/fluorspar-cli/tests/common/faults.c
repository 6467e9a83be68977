/* Stands between a program and its files (LD_PRELOAD), and lets some calls fail.
 *
 * FAULT_CALL   one of open, create, read, write, sync, rename, clock
 * FAULT_PATH   only calls on files whose path has this in it
 * FAULT_FROM   how many such calls go well first
 * FAULT_TIMES  how many fail then (all, if it is not given)
 * FAULT_ERROR  errno of those
 *
 * With clock, the wall clock jumps back by up to a day at every look.
 * What fails is said on standard error. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static atomic_long calls;

static int fails(const char *call, const char *path) {
    const char *wanted = getenv("FAULT_CALL");
    const char *part = getenv("FAULT_PATH");
    if (!wanted || strcmp(wanted, call) || !path || (part && !strstr(path, part)))
        return 0;
    const char *from = getenv("FAULT_FROM"), *times = getenv("FAULT_TIMES");
    long past = atomic_fetch_add(&calls, 1) - (from ? atol(from) : 0);
    if (past < 0 || (times && past >= atol(times)))
        return 0;
    dprintf(2, "[fault] %s %s\n", call, path);
    const char *error = getenv("FAULT_ERROR");
    errno = error ? atoi(error) : EIO;
    return 1;
}

static int fails_at(const char *call, int file) {
    const char *wanted = getenv("FAULT_CALL");
    if (!wanted || strcmp(wanted, call))
        return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return fails(call, path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPEN(name)                                                             \
    int name(const char *path, int flags, ...) {                               \
        va_list rest;                                                          \
        va_start(rest, flags);                                                 \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;              \
        va_end(rest);                                                          \
        if (fails(flags & O_CREAT ? "create" : "open", path))                  \
            return -1;                                                         \
        return NEXT(name)(path, flags, mode);                                  \
    }
OPEN(open)
OPEN(open64)

int mkdir(const char *path, mode_t mode) {
    return fails("create", path) ? -1 : NEXT(mkdir)(path, mode);
}

ssize_t read(int file, void *to, size_t count) {
    return fails_at("read", file) ? -1 : NEXT(read)(file, to, count);
}

ssize_t pread64(int file, void *to, size_t count, off64_t at) {
    return fails_at("read", file) ? -1 : NEXT(pread64)(file, to, count, at);
}

ssize_t write(int file, const void *from, size_t count) {
    return fails_at("write", file) ? -1 : NEXT(write)(file, from, count);
}

int fsync(int file) {
    return fails_at("sync", file) ? -1 : NEXT(fsync)(file);
}

int fdatasync(int file) {
    return fails_at("sync", file) ? -1 : NEXT(fdatasync)(file);
}

int rename(const char *from, const char *to) {
    return fails("rename", to) ? -1 : NEXT(rename)(from, to);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = NEXT(clock_gettime)(clock, time);
    const char *wanted = getenv("FAULT_CALL");
    if (clock == CLOCK_REALTIME && wanted && !strcmp(wanted, "clock"))
        time->tv_sec -= atomic_fetch_add(&calls, 1) * 7919 % 86400;
    return result;
}
