//! Pieces of the page: elements from text that is escaped.

use std::fmt::Write as _;

use plotters::prelude::RGBColor;

/// `text` as it may stand in an element or an attribute.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A whole page around `body`, which is already HTML.
#[must_use]
pub fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n\
         <main>\n{body}</main>\n</body>\n</html>\n",
        escape(title),
        include_str!("style.css")
    )
}

/// A section: heading, one sentence, what it holds.
pub fn section(out: &mut String, title: &str, sentence: &str, content: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        "<section>\n<h2>{}</h2>\n<p>{}</p>\n{content}\n</section>",
        escape(title),
        escape(sentence)
    );
}

/// The meaning of each line of a chart: colour, text, dashed.
#[must_use]
pub fn legend(lines: &[(RGBColor, &str, bool)]) -> String {
    let mut out = String::from("<div class=\"legend\">");
    for (RGBColor(r, g, b), text, dashed) in lines {
        let class = if *dashed { " class=\"dashed\"" } else { "" };
        let _ =
            write!(out, "<span><i{class} style=\"color:#{r:02x}{g:02x}{b:02x}\"></i>{}</span>", escape(text));
    }
    out.push_str("</div>\n");
    out
}

/// A table of two columns.
#[must_use]
pub fn pairs(rows: &[(String, String)], numbers: bool) -> String {
    let class = if numbers { " class=\"number\"" } else { "" };
    let mut out = String::from("<table>");
    for (name, value) in rows {
        let _ = write!(out, "<tr><th>{}</th><td{class}>{}</td></tr>", escape(name), escape(value));
    }
    out.push_str("</table>\n");
    out
}

/// A table with a head, its numbers aligned right.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = String::from("<table><thead><tr>");
    for (index, name) in head.iter().enumerate() {
        let class = if index > 0 { " class=\"number\"" } else { "" };
        let _ = write!(out, "<th{class}>{}</th>", escape(name));
    }
    out.push_str("</tr></thead>");
    for row in rows {
        out.push_str("<tr>");
        for (index, cell) in row.iter().enumerate() {
            let class = if index > 0 { " class=\"number\"" } else { "" };
            let _ = write!(out, "<td{class}>{}</td>", escape(cell));
        }
        out.push_str("</tr>");
    }
    out.push_str("</table>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<b a='1'>&\""), "&lt;b a=&#39;1&#39;&gt;&amp;&quot;");
        assert!(!page("<script>", "").contains("<script>"));
        assert!(!pairs(&[("<i>".into(), "<i>".into())], true).contains("<i>"));
    }
}
