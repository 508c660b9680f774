#include <mpivf/context.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
mpivf_context_init(struct mpivf_context *ctx)
{
    memset(ctx, 0, sizeof *ctx);
    pthread_mutex_init(&ctx->lock, NULL); /* which holds nothing that would have to be released */
    ctx->threads = 1;
}

mpivf_status
mpivf_fail(struct mpivf_context *ctx, mpivf_status status, const char *format, ...)
{
    pthread_mutex_lock(&ctx->lock);
    if (ctx->error[0] == '\0') {
        va_list args;
        va_start(args, format);
        vsnprintf(ctx->error, sizeof ctx->error, format, args);
        va_end(args);
        for (char *c = ctx->error; *c; c++)
            if (*c == '\n' || *c == '\r')
                *c = ' '; /* one line, whatever a file name holds */
    }
    pthread_mutex_unlock(&ctx->lock);
    return status;
}

void
mpivf_take_error(struct mpivf_context *ctx, char text[MPIVF_TEXT])
{
    pthread_mutex_lock(&ctx->lock);
    strcpy(text, ctx->error);
    ctx->error[0] = '\0';
    pthread_mutex_unlock(&ctx->lock);
}

void
mpivf_clear_error(struct mpivf_context *ctx)
{
    pthread_mutex_lock(&ctx->lock);
    ctx->error[0] = '\0';
    pthread_mutex_unlock(&ctx->lock);
}

void
mpivf_note(struct mpivf_context *ctx, const char *format, ...)
{
    if (ctx->note == NULL)
        return;
    char line[MPIVF_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    ctx->note(ctx->note_arg, line);
}

void
mpivf_warn(struct mpivf_context *ctx, const char *format, ...)
{
    static const char lead[] = "warning: ";
    if (ctx->warn == NULL)
        return;
    char line[MPIVF_TEXT];
    strcpy(line, lead);
    va_list args;
    va_start(args, format);
    vsnprintf(line + sizeof lead - 1, sizeof line - sizeof lead + 1, format, args);
    va_end(args);
    ctx->warn(ctx->note_arg, line);
}

int
mpivf_exit_code(mpivf_status status)
{
    switch (status) {
    case MPIVF_OK:
        return 0;
    case MPIVF_USAGE:
        return 2;
    case MPIVF_BELOW:
        return 3;
    case MPIVF_INTERRUPTED:
        return 75;
    default:
        return 1;
    }
}
