//! The pages for people keep up with the command line.

use std::path::{Path, PathBuf};

use crate::command::Scene;

fn runbooks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runbooks")
}

fn page(name: &str) -> String {
    let path = runbooks().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The verbs that `evenkeel --help` lists.
fn verbs() -> Vec<String> {
    let help = Scene::new().said("--help");
    let (_, listed) = help.split_once("Commands:\n").expect("a list of verbs");
    let lines = listed.lines().take_while(|it| !it.is_empty());
    lines.map(|it| it.split_whitespace().next().expect("a verb").to_owned()).collect()
}

#[test]
fn every_verb_has_its_page_and_the_index_names_it() {
    let index = page("README.md");
    let verbs = verbs();
    assert_eq!(verbs.len(), 26, "{verbs:?}");
    for verb in verbs {
        let text = page(&format!("verbs/{verb}.md"));
        assert!(text.starts_with(&format!("# evenkeel {verb}\n")), "{verb}");
        assert!(index.contains(&format!("](verbs/{verb}.md)")), "{verb} is not in the index");
    }
}

#[test]
fn every_alert_page_is_in_the_index() {
    let index = page("README.md");
    for entry in std::fs::read_dir(runbooks().join("alerts")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(index.contains(&format!("](alerts/{name})")), "{name} is not in the index");
    }
}

/// Every `evenkeel …` line of a page is one that the command line understands: it
/// fails for want of an agent or a file, if at all, and not for wrong usage.
#[test]
fn what_the_pages_tell_to_type_can_be_typed() {
    let scene = Scene::new();
    let mut n_lines = 0;
    for verb in verbs() {
        let text = page(&format!("verbs/{verb}.md"));
        for line in text.lines().filter_map(|it| it.strip_prefix("evenkeel ")) {
            let line = line.split(" #").next().unwrap().split(" >").next().unwrap();
            // An answer that is shown, not a command.
            if line.starts_with(|it: char| it.is_ascii_digit()) {
                continue;
            }
            let line = line.replace('…', "").replace("SCOPE", "all").replace("KEY-OR-FILE", "key");
            let said = scene.said(&line);
            assert!(!said.starts_with("exit 2"), "{verb}.md: `evenkeel {line}`: {said}");
            n_lines += 1;
        }
    }
    assert!(30 <= n_lines, "{n_lines} lines were found");
}

#[test]
fn no_link_leads_nowhere() {
    let mut open = vec![runbooks()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|it| it.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|it| it.split(')').next()) {
            let file = link.split('#').next().unwrap();
            let exists = file.contains("://") || path.parent().unwrap().join(file).exists();
            assert!(exists, "{}: {link}", path.display());
        }
    }
}

#[test]
fn the_access_document_of_the_page_on_tokens_is_valid() {
    let text = page("verbs/token.md");
    let (_, document) = text.split_once("```yaml\n").expect("a document");
    let (document, _) = document.split_once("```").expect("its end");
    let document = document.replace("sha256:…", &format!("sha256:{}", "ab".repeat(32)));
    let said = Scene::new().file("access.yaml", document).said("check access.yaml");
    assert!(said.starts_with("exit 0\n"), "{said}");
}
