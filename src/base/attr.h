/* Compiler attributes by the names this project uses. */
#ifndef OG_BASE_ATTR_H
#define OG_BASE_ATTR_H

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NO_RETURN         __attribute__((noreturn))

#endif
