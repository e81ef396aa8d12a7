// Sends a mail with nodemailer:   nodemailer.cjs PORT CA FILE [PASSWORD]
// The exit code is 7 if the server rejects the password.
const fs = require("fs");
const nodemailer = require("/usr/share/nodejs/nodemailer");

const [port, ca, file, password] = process.argv.slice(2);
const transport = nodemailer.createTransport({
    host: "localhost",
    port: Number(port),
    requireTLS: true,
    tls: { ca: fs.readFileSync(ca) },
    auth: password && { user: "test", pass: password },
});
transport.sendMail({
    envelope: { from: "sender@example.test", to: "you@example.test" },
    raw: fs.readFileSync(file),
}).then(
    (info) => console.log(info.response),
    (error) => {
        console.error(error);
        process.exitCode = error.code === "EAUTH" ? 7 : 1;
    });
