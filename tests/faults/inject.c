/*
 * Faults for one process, put between it and the C library with LD_PRELOAD. Only tests use it.
 *
 * INJECT_FAULT    a file that a test writes while the process runs: "<mode> <times> <part of a path>". As long as it is
 *                 there, calls on files whose path has that part (at its end where a $ follows it) fail. `times` 0 is without end; else the file is
 *                 removed after that many failures. Each failure adds a line to "<file>.fired". Modes:
 *                   enospc       writes and growing: ENOSPC            (the disk is full)
 *                   short-write  half of a write, then ENOSPC          (the disk becomes full within a write)
 *                   eio-write    writes: EIO
 *                   eio-fsync    fsync and fdatasync: EIO, and nothing is synced
 * INJECT_CLOCK    a file with a number of seconds that is added to the time of day.
 * INJECT_JOURNAL  a file that takes down what is written, cut and synced on files whose path has INJECT_JOURNAL_PATH,
 *                 so that a test can tell what a disk holds after a power loss. Records, in the order of the calls
 *                 and, but for S and F, each before its call:
 *                 kind (1 byte), length of the path, of the data, offset (8 bytes each, little endian), path, data.
 *                 W write; T truncate to offset; D delete; B begin of a sync; S its success; F its failure
 *                 (offset is the same in B and in the S or F that belongs to it).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES 4096

static pthread_mutex_t journal_lock = PTHREAD_MUTEX_INITIALIZER;
static int journal_fd = -1;
static uint64_t syncs;

#define REAL(type, name, ...)                                          \
    static type (*real)(__VA_ARGS__);                                  \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* Reads a small file without the calls that are replaced below. -1 where it is not there. */
static int slurp(const char *path, char *text, int capacity) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return -1;
    int length = (int)syscall(SYS_read, fd, text, capacity - 1);
    syscall(SYS_close, fd);
    if (length < 0) return -1;
    text[length] = 0;
    return length;
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_BYTES - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

static int has_part(const char *path, const char *part) {
    size_t length = strlen(path), wanted = strlen(part);
    if (wanted > 0 && part[wanted - 1] == '$')
        return length >= wanted - 1 && !strncmp(path + length - (wanted - 1), part, wanted - 1);
    return strstr(path, part) != 0;
}

/* Whether a call of this kind ("write" or "sync") on fd has to fail: its errno, 0 for not; *is_short for half a write. */
static int fault(int fd, int is_sync, size_t count, int *is_short) {
    const char *file = getenv("INJECT_FAULT");
    char text[1024], mode[32], part[512], path[PATH_BYTES];
    int times = 0, saved = errno, result = 0;
    *is_short = 0;
    if (!file || slurp(file, text, sizeof text) <= 0) goto done;
    if (sscanf(text, "%31s %d %511s", mode, &times, part) != 3) goto done;
    if (is_sync != !strcmp(mode, "eio-fsync")) goto done;
    if (!path_of(fd, path) || !has_part(path, part)) goto done;
    if (!strcmp(mode, "short-write") && count > 512) {
        *is_short = 1;
        goto done;
    }
    result = !strcmp(mode, "eio-fsync") || !strcmp(mode, "eio-write") ? EIO : ENOSPC;
    {
        static int failures;
        char fired[PATH_BYTES];
        snprintf(fired, sizeof fired, "%s.fired", file);
        int log = (int)syscall(SYS_openat, AT_FDCWD, fired, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        if (log >= 0) {
            size_t length = strlen(path);
            path[length] = '\n';
            syscall(SYS_write, log, path, length + 1);
            syscall(SYS_close, log);
        }
        if (times > 0 && __atomic_add_fetch(&failures, 1, __ATOMIC_SEQ_CST) >= times) {
            failures = 0;
            unlink(file);
        }
    }
done:
    errno = saved;
    return result;
}

/* The path of fd where it is taken down, else 0. */
static int journaled(int fd, char *path) {
    const char *part = getenv("INJECT_JOURNAL_PATH");
    if (!part || !getenv("INJECT_JOURNAL")) return 0;
    int saved = errno, found = path_of(fd, path) && strstr(path, part) && !strstr(path, "-shm");
    errno = saved;
    return found;
}

/* With journal_lock held. */
static void record(char kind, const char *path, const void *data, uint64_t length, uint64_t offset) {
    int saved = errno;
    if (journal_fd < 0)
        journal_fd = (int)syscall(SYS_openat, AT_FDCWD, getenv("INJECT_JOURNAL"),
                                  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    uint64_t numbers[3] = {strlen(path), length, offset};
    struct iovec parts[4] = {{&kind, 1}, {numbers, sizeof numbers}, {(void *)path, numbers[0]}, {(void *)data, length}};
    syscall(SYS_writev, journal_fd, parts, 4);
    errno = saved;
}

static ssize_t write_at(int fd, const void *data, size_t count, off64_t offset, int has_offset) {
    char path[PATH_BYTES];
    int is_short, error = fault(fd, 0, count, &is_short);
    if (error) {
        errno = error;
        return -1;
    }
    if (is_short) count /= 2;
    int taken_down = journaled(fd, path);
    if (!taken_down)
        return has_offset ? syscall(SYS_pwrite64, fd, data, count, offset) : syscall(SYS_write, fd, data, count);
    pthread_mutex_lock(&journal_lock);
    off64_t at = has_offset ? offset : lseek64(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    record('W', path, data, count, (uint64_t)at);
    ssize_t written = has_offset ? syscall(SYS_pwrite64, fd, data, count, offset) : syscall(SYS_write, fd, data, count);
    pthread_mutex_unlock(&journal_lock);
    return written;
}

ssize_t write(int fd, const void *data, size_t count) { return write_at(fd, data, count, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t count, off_t offset) { return write_at(fd, data, count, offset, 1); }
ssize_t pwrite64(int fd, const void *data, size_t count, off64_t offset) { return write_at(fd, data, count, offset, 1); }

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    REAL(ssize_t, "pwritev", int, const struct iovec *, int, off_t);
    int is_short, error = fault(fd, 0, 0, &is_short);
    if (error) {
        errno = error;
        return -1;
    }
    return real(fd, parts, count, offset);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    return pwritev(fd, parts, count, offset);
}

static int synced(int fd, int data_only) {
    char path[PATH_BYTES];
    int is_short, taken_down = journaled(fd, path);
    uint64_t number = 0;
    if (taken_down) {
        pthread_mutex_lock(&journal_lock);
        number = ++syncs;
        record('B', path, "", 0, number);
        pthread_mutex_unlock(&journal_lock);
    }
    int error = fault(fd, 1, 0, &is_short);
    int result = error ? -1 : (int)syscall(data_only ? SYS_fdatasync : SYS_fsync, fd);
    if (!error && result < 0) error = errno;
    if (taken_down) {
        pthread_mutex_lock(&journal_lock);
        record(error ? 'F' : 'S', path, "", 0, number);
        pthread_mutex_unlock(&journal_lock);
    }
    errno = error;
    return result;
}

int fsync(int fd) { return synced(fd, 0); }
int fdatasync(int fd) { return synced(fd, 1); }

int ftruncate64(int fd, off64_t length) {
    char path[PATH_BYTES];
    struct stat now;
    int is_short, taken_down = journaled(fd, path);
    if (fstat(fd, &now) == 0 && length > now.st_size) {
        int error = fault(fd, 0, 0, &is_short);
        if (error) {
            errno = error;
            return -1;
        }
    }
    if (!taken_down) return (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&journal_lock);
    record('T', path, "", 0, (uint64_t)length);
    int result = (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_unlock(&journal_lock);
    return result;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int posix_fallocate64(int fd, off64_t offset, off64_t length) {
    REAL(int, "posix_fallocate64", int, off64_t, off64_t);
    int is_short, error = fault(fd, 0, 0, &is_short);
    return error ? error : real(fd, offset, length);
}
int posix_fallocate(int fd, off_t offset, off_t length) { return posix_fallocate64(fd, offset, length); }

int unlink(const char *path) {
    const char *part = getenv("INJECT_JOURNAL_PATH");
    int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (result == 0 && part && getenv("INJECT_JOURNAL") && strstr(path, part) && !strstr(path, "-shm")) {
        pthread_mutex_lock(&journal_lock);
        record('D', path, "", 0, 0);
        pthread_mutex_unlock(&journal_lock);
    }
    return result;
}

static long clock_offset(void) {
    const char *file = getenv("INJECT_CLOCK");
    char text[64];
    int saved = errno, length = file ? slurp(file, text, sizeof text) : -1;
    errno = saved;
    return length > 0 ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    int result = real(clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += clock_offset();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    REAL(int, "gettimeofday", struct timeval *, void *);
    int result = real(now, zone);
    if (result == 0) now->tv_sec += clock_offset();
    return result;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
