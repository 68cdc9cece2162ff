//! Collects what the kernel sends while a cell runs.

use jupyter_protocol::{ExecutionCount, JupyterMessageContent, Stdio};
use nbformat::v4::{DisplayData, ErrorOutput, ExecuteResult, MultilineString, Output};

/// The outputs of one cell, in the order in which they are stored.
///
/// Each stream is one output, at the place where its first line arrived but before a result: the
/// kernel sends streams line by line from another thread, so their place among results is chance.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// What goes into the notebook.
    pub outputs: Vec<Output>,
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

fn stream_name(stream: &Stdio) -> &'static str {
    match stream {
        Stdio::Stdout => "stdout",
        Stdio::Stderr => "stderr",
    }
}
