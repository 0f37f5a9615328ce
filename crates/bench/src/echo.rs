//! What a WebSocket costs at least: a bare actix-ws server that echoes.

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use actix_ws::Message;
use futures_util::StreamExt as _;

async fn echo(request: HttpRequest, body: web::Payload) -> actix_web::Result<HttpResponse> {
    let (response, mut session, mut messages) = actix_ws::handle(&request, body)?;
    actix_web::rt::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            let sent = match message {
                Message::Text(text) => session.text(text).await,
                Message::Ping(payload) => session.pong(&payload).await,
                Message::Close(reason) => return drop(session.close(reason).await),
                _ => Ok(()),
            };
            if sent.is_err() {
                return;
            }
        }
    });
    Ok(response)
}

/// Serves until killed; says where, as parlance does.
pub fn serve() -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(async {
        let server = HttpServer::new(|| App::new().route("/ws", web::get().to(echo))).bind("127.0.0.1:0")?;
        println!("listening on http://{}", server.addrs().first().ok_or_else(|| anyhow::anyhow!("no port"))?);
        Ok(server.run().await?)
    })
}
