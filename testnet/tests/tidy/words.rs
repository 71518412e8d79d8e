//! What no file of the repository may say: the folders of somebody's machine.

use super::source::{expect_none, texts};

/// Put together here, so that this file does not say them either.
const FOLDERS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/", "brief")];

#[test]
fn no_file_names_a_folder_of_one_machine() {
    let complaints: Vec<String> = texts().iter().flat_map(|(path, text)| against(path, text)).collect();
    expect_none(&complaints);
}

#[test]
fn a_folder_of_one_machine_is_found_in_any_text() {
    let text = format!("fine\nsee {}main\n", FOLDERS[0]);
    assert_eq!(against("docs/a.md", &text), [format!("docs/a.md:2: {}", FOLDERS[0])]);
    assert_eq!(against("docs/a.md", "homework/ and /rooted/ and /tmp/brim"), [""; 0]);
}

fn against(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().enumerate();
    lines
        .flat_map(|(index, line)| {
            let named = FOLDERS.iter().filter(move |folder| line.contains(*folder));
            named.map(move |folder| format!("{path}:{}: {folder}", index + 1))
        })
        .collect()
}
