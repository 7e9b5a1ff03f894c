/* engine.h - the engine of the files source, for plugins that give files of the host and know themselves which.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A plugin that uses it is linked with plugins/files/libengine.la, makes its own array of HF_FILES_N_SETTINGS values, and calls the
 * callbacks of hf_files_engine with it. common/exact.h does that for a list of single files.
 */
#ifndef HF_FILES_ENGINE_H
#define HF_FILES_ENGINE_H

#include <holdfast/source.h>

/* The rows of the settings table, in its order. */
enum hf_files_setting {
  HF_FILES_PATH,
  HF_FILES_EXCLUDE,
  HF_FILES_INCLUDE,
  HF_FILES_EXCLUDE_FILE,
  HF_FILES_EXCLUDE_CACHES,
  HF_FILES_EXCLUDE_NODUMP,
  HF_FILES_EXCLUDE_IF_PRESENT,
  HF_FILES_ONE_FILE_SYSTEM,
  HF_FILES_XATTRS,
  HF_FILES_ACLS,
  HF_FILES_IGNORE_MISSING,
  HF_FILES_IGNORE_INODE,
  HF_FILES_N_SETTINGS
};

/* The whole files source. The strings of the values must stay until close has returned. */
extern const struct holdfast_source_plugin hf_files_engine;

#endif
