// Why an attempt failed, in words, and what mends it. The reasons are those of docs/receiving.md.

const reasons = {
  http_status: ['It answers with an error', 'Tell its owner. The answers of the target, below, say more.'],
  timeout: ['It does not answer in time', 'Let the target answer first and work later, or raise the timeout.'],
  connection_refused: ['It refuses the connection', 'Nothing listens there: start the receiver, or mend the port.'],
  connection_reset: ['It cuts the connection', 'The connection breaks before the answer: look for a crash of the receiver.'],
  connection_error: ['No connection to it can be made', 'There is no way to the target: mend its address or the network.'],
  dns_error: ['Its name does not resolve', 'Mend the host in its URL, or the name’s zone.'],
  tls_error: ['Its certificate or TLS is not right', 'The detail of an attempt says what is wrong: mostly the certificate has expired, is of another host, or of an authority that nobody knows.'],
  invalid_response: ['It answers something that is not HTTP', 'Mend the port in its URL: what answers is no web server.'],
  blocked_address: ['Its address may not be sent to', 'Its address is not public: set another target, or allow it by delivery.allow_networks.'],
  proxy_error: ['The egress proxy does not let it through', 'Mend delivery.egress_proxy: the proxy is away or refuses.'],
  oauth2_error: ['Its log-in gave no token', 'Mend the client’s id and secret, or the token endpoint.'],
  configuration: ['It cannot be sent to as it is', 'The config does not allow its target any more, or its request cannot be made: edit it.'],
  expired: ['It waited longer than events are kept', 'Raise retention.for if targets are away for so long.'],
};

const answers = {
  401: 'Its log-in is not what the target expects: mend auth or headers, or the secret that its owner verifies with.',
  404: 'Its URL is not where it takes hooks, or not any more: ask its owner, and edit the URL.',
  410: 'By 410 a target says that it is gone for good: its subscription was deleted. Make a new one if that was a mistake.',
  429: 'It asks for time: lower the subscription’s rate, or nothing.',
};
answers[403] = answers[401];
answers[405] = answers[404];

/** What happened, in words: of a reason, and of the status of the answer where there was one. */
export const wordsOf = (reason, status) => (reason === 'http_status' && status ? `It answers HTTP ${status}` : reasons[reason]?.[0] || reason || '');

/** What mends it. */
export const mendOf = (reason, status) => (reason === 'http_status' && answers[status]) || reasons[reason]?.[1] || '';
