//! Snapshots that are long enough to be a file of their own.

/// Holds `text` to the page of this name in `snapshots/`.
pub(crate) fn assert_page(folder: &str, name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(format!("snapshots/{folder}"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
