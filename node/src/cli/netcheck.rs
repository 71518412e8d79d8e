//! `hedgerow netcheck`: the links of this node's cell as the members see them, and what is notable about them.

use std::time::Duration;

use super::failure::{CliError, Exit};
use super::output::{OutputFormat, columns, counted, milliseconds, print, short};
use crate::admin::AdminClient;
use crate::admin::wire::{LinkCheck, MemberCheck, NetcheckReport, Notable};

/// The node gives up after ten seconds by itself.
const PATIENCE: Duration = Duration::from_secs(15);
/// More members do not fit side by side on a screen; of their links the worst are listed.
const MATRIX_MAX: usize = 12;
/// As many links are listed then.
const LISTED_MAX: usize = 12;

/// Prints what the members said and what is notable; exit code 1 where anything is.
pub(super) async fn run(client: &AdminClient, format: OutputFormat) -> Result<Exit, CliError> {
    let client = client.clone().patience(PATIENCE);
    let report: NetcheckReport = client.get("check the network", "/admin/v1/netcheck").await?;
    print(format, &report, text)?;
    Ok(if report.notable.is_empty() { Exit::Ok } else { Exit::Failed })
}

fn text(report: &NetcheckReport, wide: bool) -> String {
    let id = |id: &str| if wide { id.to_owned() } else { short(id) };
    let members = &report.members;
    let links = if members.len() > MATRIX_MAX { worst(report, id) } else { matrix(report, id) };
    [vec![table(members, id), links], verdict(&report.notable, id)].concat().join("\n")
}

fn table(members: &[MemberCheck], id: impl Fn(&str) -> String) -> String {
    let row = |member: &MemberCheck| {
        let answered = match (&member.failure, member.me) {
            (Some(why), _) => format!("not: {why}"),
            (None, true) => "this node".to_owned(),
            (None, false) => milliseconds(member.answered_ms),
        };
        let clock = member.clock_offset_ms.zip(member.clock_error_ms).map(|(offset, error)| clock(offset, error));
        let links = if member.failure.is_some() { "-".to_owned() } else { member.links.len().to_string() };
        vec![id(&member.node), links, clock.unwrap_or_else(|| "-".to_owned()), answered]
    };
    columns(&["NODE", "LINKS", "CLOCK AHEAD", "ANSWERED IN"], members.iter().map(row).collect())
}

/// Round trips in milliseconds, from row to column.
fn matrix(report: &NetcheckReport, id: impl Fn(&str) -> String) -> String {
    let members = &report.members;
    let header: Vec<String> = members.iter().map(|member| id(&member.node)).collect();
    let header: Vec<&str> = ["RTT IN MS"].into_iter().chain(header.iter().map(String::as_str)).collect();
    let row = |from: &MemberCheck| {
        let cells = members.iter().map(|to| match from.links.iter().find(|link| link.node == to.node) {
            _ if from.node == to.node => ".".to_owned(),
            _ if from.failure.is_some() => "?".to_owned(),
            Some(link) => cell(link, is_lossy(report, from, link)),
            None => "-".to_owned(),
        });
        [id(&from.node)].into_iter().chain(cells).collect()
    };
    columns(&header, members.iter().map(row).collect())
}

fn cell(link: &LinkCheck, is_lossy: bool) -> String {
    let rtt = if link.rtt_ms < 10.0 { format!("{:.2}", link.rtt_ms) } else { format!("{:.0}", link.rtt_ms) };
    let path = if link.path == "direct" { String::new() } else { format!(" {}", link.path) };
    let loss = if is_lossy { format!(" {:.1}% lost", link.loss_percent) } else { String::new() };
    format!("{rtt}{path}{loss}")
}

/// Whether what is lost is notable, as the node judged it.
fn is_lossy(report: &NetcheckReport, from: &MemberCheck, link: &LinkCheck) -> bool {
    let is_it = |notable: &Notable| matches!(notable, Notable::Loss { node, peer, .. } if *node == from.node && *peer == link.node);
    report.notable.iter().any(is_it)
}

/// The links of the most loss and of the longest round trips.
fn worst(report: &NetcheckReport, id: impl Fn(&str) -> String) -> String {
    let ends = report.members.iter().flat_map(|from| from.links.iter().map(move |link| (from, link)));
    let mut links: Vec<_> = ends.collect();
    let lost =
        |(from, link): &(&MemberCheck, &LinkCheck)| if is_lossy(report, from, link) { link.loss_percent } else { 0.0 };
    links.sort_by(|one, two| lost(two).total_cmp(&lost(one)).then(two.1.rtt_ms.total_cmp(&one.1.rtt_ms)));
    let row = |(from, link): &(&MemberCheck, &LinkCheck)| {
        let (rtt, loss) = (milliseconds(Some(link.rtt_ms)), format!("{:.1} %", link.loss_percent));
        vec![id(&from.node), id(&link.node), rtt, loss, link.path.clone()]
    };
    let shown = links.iter().take(LISTED_MAX).map(row).collect();
    let all = counted(links.len(), "end");
    format!("{}\nthe worst of {all} of links", columns(&["FROM", "TO", "RTT", "LOSS", "PATH"], shown))
}

/// A line for each thing that is notable, then how many there are.
fn verdict(notable: &[Notable], id: impl Fn(&str) -> String) -> Vec<String> {
    if notable.is_empty() {
        return vec!["nothing notable".to_owned()];
    }
    let told = notable.iter().map(|notable| match notable {
        Notable::Silent { node, failure } => format!("notable: {} did not answer: {failure}", id(node)),
        Notable::OneSided { node, peer } => {
            format!("notable: {} has a link to {}, which has none to it", id(node), id(peer))
        }
        Notable::Loss { node, peer, percent } => {
            format!("notable: {percent:.1} % of what {} sends to {} is lost", id(node), id(peer))
        }
        Notable::Clock { node, offset_ms, error_ms } => {
            let side = if *offset_ms < 0.0 { "behind" } else { "ahead of" };
            let (off, error) = (span(offset_ms.abs()), span(*error_ms));
            format!("notable: the clock of {} is {off} {side} this node's, ± {error}", id(node))
        }
        Notable::Unknown => "notable: something of a later version; `-o json` shows it".to_owned(),
    });
    let count = counted(notable.len(), "notable thing");
    told.chain([count]).collect()
}

/// Negative is behind.
fn clock(offset_ms: f64, error_ms: f64) -> String {
    let sign = if offset_ms < 0.0 { '-' } else { '+' };
    format!("{sign}{} ± {}", span(offset_ms.abs()), span(error_ms))
}

/// Seconds where milliseconds would be many.
fn span(ms: f64) -> String {
    if ms < 1_000.0 { milliseconds(Some(ms)) } else { format!("{:.1} s", ms / 1_000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(node: &str, rtt_ms: f64, loss_percent: f64, path: &str) -> LinkCheck {
        LinkCheck { node: node.to_owned(), rtt_ms, loss_percent, path: path.to_owned(), ..LinkCheck::default() }
    }

    fn member(node: &str, clock: Option<(f64, f64)>, links: Vec<LinkCheck>) -> MemberCheck {
        MemberCheck {
            node: node.to_owned(),
            me: clock.is_none(),
            answered_ms: clock.map(|(_, error)| error * 2.0),
            clock_offset_ms: clock.map(|(offset, _)| offset),
            clock_error_ms: clock.map(|(_, error)| error),
            links,
            failure: None,
        }
    }

    #[test]
    fn a_small_cell_is_a_matrix_with_marks_for_what_is_lost() {
        let [one, two, three] = ["aaaaaaaaa1", "bbbbbbbbb2", "ccccccccc3"];
        let silent =
            MemberCheck { failure: Some("no link to the node".to_owned()), me: false, ..member(three, None, vec![]) };
        let members = vec![
            member(one, None, vec![link(two, 0.314, 0.0, "direct"), link(three, 41.6, 0.9, "relayed")]),
            member(two, Some((-2_345.0, 0.6)), vec![link(one, 0.3, 2.04, "direct")]),
            silent,
        ];
        let notable = vec![
            Notable::Silent { node: three.to_owned(), failure: "no link to the node".to_owned() },
            Notable::OneSided { node: one.to_owned(), peer: two.to_owned() },
            Notable::Loss { node: two.to_owned(), peer: one.to_owned(), percent: 2.04 },
            Notable::Clock { node: two.to_owned(), offset_ms: -2_345.0, error_ms: 0.6 },
        ];
        assert_eq!(
            text(&NetcheckReport { members, notable }, false),
            "NODE      LINKS  CLOCK AHEAD       ANSWERED IN\n\
             aaaaaaaa  2      -                 this node\n\
             bbbbbbbb  1      -2.3 s ± 0.60 ms  1.20 ms\n\
             cccccccc  -      -                 not: no link to the node\n\
             RTT IN MS  aaaaaaaa        bbbbbbbb  cccccccc\n\
             aaaaaaaa   .               0.31      42 relayed\n\
             bbbbbbbb   0.30 2.0% lost  .         -\n\
             cccccccc   ?               ?         .\n\
             notable: cccccccc did not answer: no link to the node\n\
             notable: aaaaaaaa has a link to bbbbbbbb, which has none to it\n\
             notable: 2.0 % of what bbbbbbbb sends to aaaaaaaa is lost\n\
             notable: the clock of bbbbbbbb is 2.3 s behind this node's, ± 0.60 ms\n\
             4 notable things"
        );
    }

    #[test]
    fn of_a_large_cell_the_worst_links_are_listed() {
        let names: Vec<String> = (0..13).map(|number| format!("node{number:02}xx")).collect();
        let ring = names.iter().zip(names.iter().cycle().skip(1)).zip(1_u32..);
        let members: Vec<_> = ring
            .map(|((from, to), number)| {
                let loss = if number == 3 { 5.0 } else { 0.5 };
                member(from, Some((0.25, 0.5)), vec![link(to, f64::from(number), loss, "direct")])
            })
            .collect();
        let notable = vec![Notable::Loss { node: names[2].clone(), peer: names[3].clone(), percent: 5.0 }];
        let told = text(&NetcheckReport { members, notable }, false);
        let lines: Vec<&str> = told.lines().skip(14).collect();
        assert_eq!(
            [&lines[..3], &lines[13..]].concat(),
            [
                "FROM      TO        RTT      LOSS   PATH",
                "node02xx  node03xx  3.00 ms  5.0 %  direct",
                "node12xx  node00xx  13 ms    0.5 %  direct",
                "the worst of 13 ends of links",
                "notable: 5.0 % of what node02xx sends to node03xx is lost",
                "1 notable thing",
            ]
        );
        assert!(told.lines().nth(1).unwrap().ends_with("1      +0.25 ms ± 0.50 ms  1.00 ms"), "{told}");
    }
}
