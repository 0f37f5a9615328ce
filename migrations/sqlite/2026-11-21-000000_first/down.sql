DROP TABLE server;
DROP TABLE receipts;
DROP TABLE messages;
DROP TABLE files;
DROP TABLE members;
DROP TABLE conversations;
DROP TABLE sessions;
DROP TABLE users;
