/* Loaded before the C library (LD_PRELOAD): writes down what a process does to the files below one
 * directory, in order, so that a test can say what a power cut at any moment may leave of them.
 *
 * One entry: kind (1 byte), inode, offset (8 each), lengths of two byte strings (4 each), the strings.
 *   C path         created or opened for creation; offset 1: emptied by it
 *   W - bytes      written at the offset
 *   T              cut or extended to the offset
 *   R from to      renamed
 *   U path         unlinked, M path  directory made, D path  directory removed
 *   S              file made durable, N path  names of a directory made durable
 * sync_file_range is no entry: it promises nothing. One lock makes the order of the entries that of the
 * calls. What it does not see shows when the test compares its copy with the files. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char base[PATH_MAX];
static size_t base_length;
static int out = -1;

__attribute__((constructor)) static void begin(void) {
    const char *dir = getenv("CONCORD_TRACE_DIR"), *file = getenv("CONCORD_TRACE");
    if (!dir || !file || !realpath(dir, base)) return;
    base_length = strlen(base);
    out = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The path below the directory, or nothing. */
static const char *below(const char *path) {
    if (out < 0 || strncmp(path, base, base_length) || path[base_length] != '/') return NULL;
    return path + base_length + 1;
}

static const char *below_at(int dir, const char *path, char *buffer) {
    char link[64];
    if (out < 0) return NULL;
    if (path[0] == '/' || dir == AT_FDCWD) return below(path);
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    if (length < 0) return NULL;
    snprintf(buffer + length, PATH_MAX - (size_t)length, "/%s", path);
    return below(buffer);
}

/* The path of an open file, "" for the directory itself. */
static const char *below_fd(int fd, char *buffer) {
    char link[64];
    if (out < 0) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    if (length < 0) return NULL;
    buffer[length] = 0;
    return strcmp(buffer, base) ? below(buffer) : "";
}

static uint64_t inode(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : (uint64_t)found.st_ino;
}

static void put(const void *bytes, size_t length) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t written = syscall(SYS_write, out, at, length);
        if (written <= 0) abort();
        at += written;
        length -= (size_t)written;
    }
}

static void note(char kind, uint64_t file, uint64_t offset, const void *a, size_t a_length,
                 const void *b, size_t b_length) {
    uint32_t lengths[2] = {(uint32_t)a_length, (uint32_t)b_length};
    char head[25];
    head[0] = kind;
    memcpy(head + 1, &file, 8);
    memcpy(head + 9, &offset, 8);
    memcpy(head + 17, lengths, 8);
    put(head, sizeof head);
    put(a, a_length);
    put(b, b_length);
}

static void note_path(char kind, const char *path) { note(kind, 0, 0, path, strlen(path), "", 0); }

#define LOCKED(type, body)                                                                          \
    pthread_mutex_lock(&turn);                                                                      \
    type result = body;

#define DONE                                                                                        \
    pthread_mutex_unlock(&turn);                                                                    \
    return result;

static void opened(int fd, const char *path, int flags) {
    if (fd >= 0 && path && flags & (O_CREAT | O_TRUNC))
        note('C', inode(fd), flags & O_TRUNC ? 1 : 0, path, strlen(path), "", 0);
}

#define OPEN(name)                                                                                  \
    int name(const char *path, int flags, ...) {                                                    \
        va_list more;                                                                               \
        va_start(more, flags);                                                                      \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;                                   \
        va_end(more);                                                                               \
        LOCKED(int, REAL(name)(path, flags, mode))                                                  \
        opened(result, below(path), flags);                                                         \
        DONE                                                                                        \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                \
    int name(int dir, const char *path, int flags, ...) {                                           \
        char buffer[PATH_MAX];                                                                      \
        va_list more;                                                                               \
        va_start(more, flags);                                                                      \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;                                   \
        va_end(more);                                                                               \
        LOCKED(int, REAL(name)(dir, path, flags, mode))                                             \
        opened(result, below_at(dir, path, buffer), flags);                                         \
        DONE                                                                                        \
    }
OPENAT(openat)
OPENAT(openat64)

static void wrote(int fd, const void *bytes, ssize_t length, uint64_t offset) {
    char buffer[PATH_MAX];
    if (length > 0 && below_fd(fd, buffer))
        note('W', inode(fd), offset, "", 0, bytes, (size_t)length);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    LOCKED(ssize_t, REAL(write)(fd, bytes, length))
    if (result > 0 && out >= 0) {
        off_t end = lseek(fd, 0, SEEK_CUR);
        if (end >= result) wrote(fd, bytes, result, (uint64_t)(end - result));
    }
    DONE
}

#define PWRITE(name, offset_type)                                                                   \
    ssize_t name(int fd, const void *bytes, size_t length, offset_type offset) {                    \
        LOCKED(ssize_t, REAL(name)(fd, bytes, length, offset))                                      \
        wrote(fd, bytes, result, (uint64_t)offset);                                                 \
        DONE                                                                                        \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define TRUNCATE(name, offset_type)                                                                 \
    int name(int fd, offset_type length) {                                                          \
        char buffer[PATH_MAX];                                                                      \
        LOCKED(int, REAL(name)(fd, length))                                                         \
        if (!result && below_fd(fd, buffer)) note('T', inode(fd), (uint64_t)length, "", 0, "", 0);  \
        DONE                                                                                        \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(name)                                                                                  \
    int name(int fd) {                                                                              \
        char buffer[PATH_MAX];                                                                      \
        struct stat found;                                                                          \
        LOCKED(int, REAL(name)(fd))                                                                 \
        const char *path = below_fd(fd, buffer);                                                    \
        if (!result && path && !fstat(fd, &found)) {                                                \
            if (S_ISDIR(found.st_mode)) note_path('N', path);                                       \
            else note('S', (uint64_t)found.st_ino, 0, "", 0, "", 0);                                \
        }                                                                                           \
        DONE                                                                                        \
    }
SYNC(fsync)
SYNC(fdatasync)

int rename(const char *from, const char *to) {
    LOCKED(int, REAL(rename)(from, to))
    const char *a = below(from), *b = below(to);
    if (!result && a && b) note('R', 0, 0, a, strlen(a), b, strlen(b));
    DONE
}

#define ONE_PATH(name, kind, parameters, arguments)                                                 \
    int name parameters {                                                                           \
        LOCKED(int, REAL(name) arguments)                                                           \
        const char *found = below(path);                                                            \
        if (!result && found) note_path(kind, found);                                               \
        DONE                                                                                        \
    }
ONE_PATH(unlink, 'U', (const char *path), (path))
ONE_PATH(rmdir, 'D', (const char *path), (path))
ONE_PATH(mkdir, 'M', (const char *path, mode_t mode), (path, mode))

int unlinkat(int dir, const char *path, int flags) {
    char buffer[PATH_MAX];
    LOCKED(int, REAL(unlinkat)(dir, path, flags))
    const char *found = below_at(dir, path, buffer);
    if (!result && found) note_path(flags & AT_REMOVEDIR ? 'D' : 'U', found);
    DONE
}
