//! Collects what the kernel sends while a cell runs.

use std::sync::LazyLock;
use std::time::Duration;

use jupyter_protocol::{ExecutionCount, JupyterMessageContent, Stdio};
use nbformat::v4::{DisplayData, ErrorOutput, ExecuteResult, MultilineString, Output};
use regex::Regex;

/// The outputs of one cell, in the order in which they are stored.
///
/// Each stream is one output, at the place where its first line arrived but before a result: the
/// kernel sends streams line by line from another thread, so their place among results is chance.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// What goes into the notebook.
    pub outputs: Vec<Output>,
    /// From sending the cell until the kernel had done it, without the wait for late output.
    pub took: Duration,
}

impl Collected {
    /// Adds what a message of the kernel carries; messages that carry no output change nothing.
    pub fn add(&mut self, content: JupyterMessageContent, execution_count: usize) {
        match content {
            JupyterMessageContent::StreamContent(stream) => {
                self.add_stream(stream_name(&stream.name), &stream.text);
            }
            JupyterMessageContent::DisplayData(display) => self
                .outputs
                .push(Output::DisplayData(DisplayData { data: display.data, metadata: display.metadata })),
            JupyterMessageContent::ExecuteResult(result) => {
                self.outputs.push(Output::ExecuteResult(ExecuteResult {
                    execution_count: ExecutionCount(execution_count),
                    data: result.data,
                    metadata: result.metadata,
                }));
            }
            JupyterMessageContent::ErrorOutput(error) => self.outputs.push(Output::Error(ErrorOutput {
                ename: error.ename,
                evalue: error.evalue,
                traceback: error.traceback,
            })),
            _ => {}
        }
    }

    /// What was written to stderr.
    pub fn stderr(&self) -> &str {
        let text = self.outputs.iter().find_map(|output| match output {
            Output::Stream { name, text } if name == "stderr" => Some(text.0.as_str()),
            _ => None,
        });
        text.unwrap_or_default()
    }

    /// The message of the first error that the kernel sent.
    pub fn error(&self) -> Option<&str> {
        self.outputs.iter().find_map(|output| match output {
            Output::Error(error) => Some(error.evalue.as_str()),
            _ => None,
        })
    }

    /// Removes a line from stderr, and stderr itself if nothing is left of it.
    pub fn forget_line(&mut self, line: &str) {
        self.outputs.retain_mut(|output| match output {
            Output::Stream { name, text } if name == "stderr" => {
                text.0 = text.0.replace(&format!("{line}\n"), "");
                !text.0.is_empty()
            }
            _ => true,
        });
    }

    /// Cuts the C++ stack out of libtorch's messages: 25 lines of addresses and this machine's paths.
    pub fn cut_libtorch_frames(&mut self) {
        for output in &mut self.outputs {
            if let Output::Stream { text, .. } = output
                && text.0.contains("Exception raised from")
            {
                text.0 = without_libtorch_frames(&text.0);
            }
        }
    }

    fn add_stream(&mut self, stream: &str, more: &str) {
        for output in &mut self.outputs {
            if let Output::Stream { name, text } = output
                && name == stream
            {
                text.0.push_str(more);
                return;
            }
        }
        let place = self.outputs.iter().take_while(|o| matches!(o, Output::Stream { .. })).count();
        let text = MultilineString(more.to_owned());
        self.outputs.insert(place, Output::Stream { name: stream.to_owned(), text });
    }
}

fn without_libtorch_frames(text: &str) -> String {
    // As lines, and as `{:?}` shows them, with `\n` written out.
    static LINES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)^Exception raised from .*\n(?:frame #.*\n)*").expect("a fixed pattern")
    });
    static ESCAPED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\\nException raised from .*\(0x[0-9a-f]+ in .*?\)(?:\\n)?").expect("a fixed pattern")
    });
    ESCAPED.replace_all(&LINES.replace_all(text, ""), "").into_owned()
}

fn stream_name(stream: &Stdio) -> &'static str {
    match stream {
        Stdio::Stdout => "stdout",
        Stdio::Stderr => "stderr",
    }
}

#[cfg(test)]
mod tests {
    use super::without_libtorch_frames;

    #[test]
    fn libtorch_frames_are_cut() {
        let escaped = r#"Torch("bad shape\nException raised from f at /x.h:9 (most recent call first):\nframe #0: a + 0x9 (0x7f in /t/libc10.so)\nframe #1: b + 0x1 (0x7e in /t/libc.so.6)\n")"#;
        assert_eq!(without_libtorch_frames(escaped), r#"Torch("bad shape")"#);
        let lines = "bad\nException raised from f at /x.h:9 (most recent call first):\nframe #0: a (0x7f in b)\nnext\n";
        assert_eq!(without_libtorch_frames(lines), "bad\nnext\n");
    }
}
