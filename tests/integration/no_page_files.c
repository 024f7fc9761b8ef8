/* What cmake/Web.cmake makes where there is no Node; it stands in for the files of the page. */
#include "console/page_files.h"

const struct page_file page_files[] = {{0}};
