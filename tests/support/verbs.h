/* The verbs of og-support; each takes its own arguments and returns an exit code. */
#ifndef SUPPORT_VERBS_H
#define SUPPORT_VERBS_H

int verb_handler(int argc, char **argv);
int verb_produce(int argc, char **argv);
int verb_dump(int argc, char **argv);
int verb_committed(int argc, char **argv);
int verb_topics(int argc, char **argv);
int verb_aborted(int argc, char **argv);
int verb_group(int argc, char **argv);

#endif
