/*
 * context: what every call of the library needs and nobody else owns.
 *
 * A context carries the text of the first error, the memory budget, the thread count and a
 * place for notes. There is no global state: two contexts do not know of each other.
 *
 * Threads of a process may share a context: failures are recorded and memory is taken and given
 * back by any of them at any time. The rest is for one thread at a time, and so is reading the
 * error, once those that may fail have ended.
 *
 * Errors are data. A fallible function returns a status and has written, where the cause was
 * known, one line into the context: lower case, no full stop, the subject in quotes, the cure
 * where there is one. Callers pass the status on. Outputs are set only on success.
 * The library never prints, exits or aborts.
 */
#ifndef MPIVF_CONTEXT_H
#define MPIVF_CONTEXT_H

#include <mpivf/api.h>

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

MPIVF_API_BEGIN

typedef enum {
    MPIVF_OK = 0,
    MPIVF_USAGE,       /* the caller asked for something that cannot be meant */
    MPIVF_INPUT,       /* the data given is not what it has to be */
    MPIVF_IO,          /* the operating system refused to read, write, rename... */
    MPIVF_MEMORY,      /* the budget (--memory) or the machine has no more */
    MPIVF_CORRUPT,     /* a file of ours is damaged or incomplete */
    MPIVF_MISMATCH,    /* two files that do not belong together */
    MPIVF_EXISTS,      /* the output is there already */
    MPIVF_BELOW,       /* the work is done, the result misses the asked-for quality */
    MPIVF_INTERRUPTED, /* stopped on request with a valid checkpoint */
    MPIVF_INTERNAL,    /* a defect of this program */
    MPIVF_STATUSES
} mpivf_status;

enum { MPIVF_TEXT = 640 }; /* bytes of an error text, with its end */

/* Bytes handed out by mpivf_alloc. */
struct mpivf_memory {
    size_t limit; /* 0 = no limit */
    size_t used;
    size_t peak;
    size_t beside; /* what the process takes beside: --memory is that and the limit */
    bool credit;   /* the limit may be passed until the next plan */
    size_t lent;   /* of what was asked for on credit and did not fit */
    char lent_what[256], lent_other[256]; /* the largest of it, and its other cure */
};

struct mpivf_context {
    char error[MPIVF_TEXT]; /* the first failure; "" when there is none */
    struct mpivf_memory memory;
    pthread_mutex_t lock;                      /* of the two above */
    int threads;                               /* >= 1, of this process */
    int rank;                                  /* of this process, for fault points only */
    void (*note)(void *arg, const char *line); /* notes and progress, may be NULL */
    void (*warn)(void *arg, const char *line); /* warnings, may be NULL */
    void *note_arg;                            /* of both, not owned */
};

/* An empty context: one thread, no limit, no notes. Nothing to release. Local. */
void
mpivf_context_init(struct mpivf_context *ctx);

/*
 * Record a failure and return its status. The first text stays: what fails while cleaning up
 * does not hide the cause. Local.
 */
mpivf_status
mpivf_fail(struct mpivf_context *ctx, mpivf_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Forget a failure that the caller has dealt with. Local. */
void
mpivf_clear_error(struct mpivf_context *ctx);

/* The same, and its text, to be told as the cause of another one. Local. */
void
mpivf_take_error(struct mpivf_context *ctx, char text[MPIVF_TEXT]);

/* Hand a line to the context's note function, if it has one. Local. */
void
mpivf_note(struct mpivf_context *ctx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * The same for what makes a result worth less than it looks, led by "warning: ": told also to who
 * wants no notes. Local.
 */
void
mpivf_warn(struct mpivf_context *ctx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * The exit code of a program that ended so: 0, 1 runtime, 2 usage, 3 below quality, 75 interrupted.
 * Local.
 */
int
mpivf_exit_code(mpivf_status status);

/*
 * Memory out of the budget, 64-byte aligned, not cleared. `what` names it in the error text.
 * NULL when count * size is too large, the limit is reached or the machine refuses; the error
 * is then recorded. Zero bytes give a valid pointer. Local.
 */
void *
mpivf_alloc(struct mpivf_context *ctx, const char *what, size_t count, size_t size);

/* The same, cleared. Local. */
void *
mpivf_alloc_zero(struct mpivf_context *ctx, const char *what, size_t count, size_t size);

/* What an allocation of so many bytes takes of the budget. Local. */
size_t
mpivf_alloc_bytes(size_t bytes);

/*
 * Room for `more` behind the `count` elements of *array, of any pointer type, NULL at first: where
 * *room would not do it becomes a longer one, of twice the room or more. MPIVF_MEMORY; the old one
 * then stays. To be given back by the caller. Local.
 */
mpivf_status
mpivf_grow(struct mpivf_context *ctx, const char *what, void *array, size_t count, size_t more,
           size_t size, size_t *room);

/* Give back; NULL is fine. Local. */
void
mpivf_free(struct mpivf_context *ctx, void *memory);

/* Count bytes that a library takes on our behalf, and count them no more. MPIVF_MEMORY. Local. */
mpivf_status
mpivf_memory_reserve(struct mpivf_context *ctx, const char *what, size_t bytes);
void
mpivf_memory_release(struct mpivf_context *ctx, size_t bytes);

/* Bytes the budget still has; SIZE_MAX without a limit. Local. */
size_t
mpivf_memory_left(const struct mpivf_context *ctx);

/*
 * Fail for want of memory: `what` needs `bytes` beyond what is in use. The one text for that, with
 * the --memory that would do; `other` is another cure, or NULL. Returns MPIVF_MEMORY. Local.
 */
mpivf_status
mpivf_memory_short(struct mpivf_context *ctx, const char *what, size_t bytes, const char *other);

/*
 * A command that opens its inputs and then plans tells all that it needs in one line: until the
 * next plan what does not fit is taken all the same, but not written to. Local.
 */
void
mpivf_memory_credit(struct mpivf_context *ctx);

/*
 * Has more been taken than there is? Then the next plan fails, and nothing is to be read before.
 * Local.
 */
bool
mpivf_memory_lent(const struct mpivf_context *ctx);

/* As mpivf_memory_plan; what does not fit is taken on credit where there is any. Local. */
mpivf_status
mpivf_memory_ask(struct mpivf_context *ctx, const char *what, size_t need, const char *other);

/* No more credit, whether there was a plan or not. Local. */
void
mpivf_memory_settle(struct mpivf_context *ctx);

/*
 * Bytes that a phase may plan with: what is left, and `max` at most unless it needs more. Fails as
 * above when less than `need` are left. `bytes` may be NULL. Local.
 */
mpivf_status
mpivf_memory_plan(struct mpivf_context *ctx, const char *what, size_t need, size_t max,
                  const char *other, size_t *bytes);

/*
 * Largest resident set of this process so far, in bytes; 0 where the system does not tell. Local.
 */
size_t
mpivf_memory_resident(void);

/*
 * A default for the limit of one of `processes` processes on this machine: 80 % of the smallest
 * of Slurm's grant, the cgroup's limit and the machine's memory. Local.
 */
size_t
mpivf_memory_default(int processes);

MPIVF_API_END

#endif
