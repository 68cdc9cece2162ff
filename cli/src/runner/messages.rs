//! The connection to a kernel, and reading its messages.

use std::time::Duration;

use anyhow::Result;
use jupyter_protocol::connection_info::Transport;
use jupyter_protocol::{ConnectionInfo, ExecutionState, JupyterMessage, JupyterMessageContent};
use jupyter_zmq_client as zmq;
use tokio::time::sleep;

/// A connection on free local ports, which are held until the listeners are dropped.
pub async fn connection() -> Result<(ConnectionInfo, Vec<tokio::net::TcpListener>)> {
    let ip = std::net::Ipv4Addr::LOCALHOST;
    let (ports, listeners) = zmq::peek_ports_with_listeners(ip.into(), 5).await?;
    let info = ConnectionInfo {
        ip: ip.to_string(),
        transport: Transport::TCP,
        shell_port: ports[0],
        iopub_port: ports[1],
        stdin_port: ports[2],
        control_port: ports[3],
        hb_port: ports[4],
        key: uuid::Uuid::new_v4().to_string(),
        signature_scheme: "hmac-sha256".to_owned(),
        kernel_name: Some("rust".to_owned()),
    };
    Ok((info, listeners))
}

/// The next message; those that cannot be read are passed over.
pub async fn read(iopub: &mut zmq::ClientIoPubConnection) -> JupyterMessage {
    loop {
        match iopub.read().await {
            Ok(message) => return message,
            // The socket is closed: the kernel's exit is noticed elsewhere.
            Err(_) => sleep(Duration::from_millis(1)).await,
        }
    }
}

/// Whether a message says that the kernel is done with a request.
pub fn is_idle(message: &JupyterMessage, request: &str) -> bool {
    let answers = message.parent_header.as_ref().is_some_and(|parent| parent.msg_id == request);
    let JupyterMessageContent::Status(status) = &message.content else { return false };
    answers && status.execution_state == ExecutionState::Idle
}
