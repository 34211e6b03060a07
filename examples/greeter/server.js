/** Greets; what it says comes with the configuration, who it is with the release. */
const http = require('node:http');

const { PORT = '8080', HOST = '0.0.0.0', GREETING = 'Hello', KILN_VERSION = 'dev' } = process.env;

const server = http.createServer((_request, response) => {
  response.end(`${GREETING} from ${KILN_VERSION}\n`);
});
server.listen(Number(PORT), HOST, () => console.log(`greeting on ${PORT}`));
process.on('SIGTERM', () => server.close());
